//! The owner's control server: Headscale over TLS, with its own DERP relay. It knows a user, the phone's key and
//! the box's key, and approves exit nodes by itself or by hand.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};

use crate::certs::Identity;
use crate::namespace::Namespace;
use crate::peers::Peers;
use crate::process::Process;
use crate::tools::path_text;
use crate::topology::CONTROL_V4;
use crate::wait_for;

/// Headscale takes no /0 by that name.
const EVERYWHERE: [&str; 4] = ["0.0.0.0/1", "128.0.0.0/1", "::/1", "8000::/1"];
/// `*` is the four that everybody knows.
const EVERY_PROTOCOL: [&str; 4] = ["*", "47:*", "50:*", "132:*"];

/// Who turns an offered exit node into an approved one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Approval {
    /// The policy's `autoApprovers`, by the tag `tag:exit`.
    Automatic,
    /// The owner, with [`Control::approve_routes`].
    ByHand,
}

/// The running control server.
#[derive(Debug)]
pub struct Control {
    /// None while it is away.
    daemon: Option<Process>,
    namespace: Namespace,
    headscale: PathBuf,
    folder: PathBuf,
    user: String,
}

impl Control {
    /// Starts it with an empty tailnet and waits until it answers.
    pub(crate) fn start(
        namespace: Namespace,
        peers: &Peers,
        folder: &Path,
        identity: &Identity,
    ) -> Result<Self> {
        fs::create_dir(folder).with_context(|| format!("cannot make {}", folder.display()))?;
        let config_path = folder.join("config.yaml");
        fs::write(&config_path, config(path_text(folder)?, identity))?;
        let mut control = Self {
            daemon: None,
            namespace,
            headscale: peers.headscale(),
            folder: folder.to_owned(),
            user: String::new(),
        };
        control.come_back()?;
        control.user = id_of(&control.ask(&["users", "create", "alice"])?)?;
        control.set_approval(Approval::Automatic)?;
        Ok(control)
    }

    /// Dies, and its DERP relay with it: every connection is reset, and new ones are refused.
    pub fn go_away(&mut self) {
        self.daemon = None;
    }

    /// Starts, with all that it knew, and waits until it answers.
    pub fn come_back(&mut self) -> Result<()> {
        let config_path = self.folder.join("config.yaml");
        let args = ["-c", path_text(&config_path)?, "serve"];
        self.daemon = Some(self.namespace.spawn("headscale", &self.headscale, &args, &[])?);
        self.wait_until_healthy().with_context(|| self.log_tail())
    }

    /// A reusable key that makes its bearer the tagged exit node.
    pub fn box_key(&self) -> Result<String> {
        self.preauth_key(&["-e", "24h", "--tags", "tag:exit"])
    }

    /// The same, too late.
    pub fn expired_box_key(&self) -> Result<String> {
        self.preauth_key(&["-e", "1ms", "--tags", "tag:exit"])
    }

    /// A reusable key that makes its bearer a device of the owner's.
    pub fn phone_key(&self) -> Result<String> {
        self.preauth_key(&["-e", "24h"])
    }

    /// Replaces the policy, at once; routes that are approved already stay so.
    pub fn set_approval(&self, approval: Approval) -> Result<()> {
        self.set_policy(&policy(approval))
    }

    fn set_policy(&self, policy: &Value) -> Result<()> {
        let path = self.folder.join("policy.json");
        fs::write(&path, policy.to_string())?;
        self.headscale(&["policy", "set", "-f", path_text(&path)?]).map(drop)
    }

    /// A policy that keeps no packet of a client from the exit node, private addresses and odd protocols included.
    pub fn allow_everything(&self) -> Result<()> {
        let mut policy = policy(Approval::Automatic);
        let grants = policy["grants"].as_array_mut().context("a policy without grants")?;
        grants.push(json!({"src": ["*"], "dst": EVERYWHERE, "ip": EVERY_PROTOCOL}));
        self.set_policy(&policy)
    }

    /// Every node of the tailnet as Headscale lists it.
    pub fn nodes(&self) -> Result<Vec<Value>> {
        // Headscale lists an empty tailnet as null.
        let nodes: Option<_> = serde_json::from_value(self.ask(&["nodes", "list"])?)?;
        Ok(nodes.unwrap_or_default())
    }

    /// What the owner does when the exit node waits for approval.
    pub fn approve_routes(&self, node: &str) -> Result<()> {
        self.approve(node, "0.0.0.0/0,::/0")
    }

    /// The same for networks behind a node.
    pub fn approve(&self, node: &str, networks: &str) -> Result<()> {
        let id = self.id_of_node(node)?;
        self.headscale(&["nodes", "approve-routes", "-i", &id, "-r", networks]).map(drop)
    }

    /// What the box has told its owner to type, typed.
    pub fn type_in(&self, command: &str) -> Result<()> {
        let mut words = command.split_whitespace();
        ensure!(words.next() == Some("headscale"), "no command of Headscale's: {command}");
        self.headscale(&words.collect::<Vec<_>>()).map(drop)
    }

    /// The owner changes their mind.
    pub fn withdraw_routes(&self, node: &str) -> Result<()> {
        let id = self.id_of_node(node)?;
        self.headscale(&["nodes", "approve-routes", "-i", &id, "-r", ""]).map(drop)
    }

    /// From now on the node's key counts no more.
    pub fn expire_node(&self, node: &str) -> Result<()> {
        self.headscale(&["nodes", "expire", "-i", &self.id_of_node(node)?]).map(drop)
    }

    /// It counts again, for ever.
    pub fn extend_node(&self, node: &str) -> Result<()> {
        self.headscale(&["nodes", "expire", "-i", &self.id_of_node(node)?, "--disable"]).map(drop)
    }

    /// Its old name is free again; it keeps its addresses.
    pub fn rename_node(&self, node: &str, name: &str) -> Result<()> {
        self.headscale(&["nodes", "rename", "-i", &self.id_of_node(node)?, name]).map(drop)
    }

    /// Deletes a node: it is logged out and its name is free again.
    pub fn forget(&self, node: &str) -> Result<()> {
        self.delete(&self.id_of_node(node)?)
    }

    /// Back to an empty tailnet that approves by itself; keys stay valid.
    pub fn reset(&self) -> Result<()> {
        for node in self.nodes()? {
            self.delete(&id_of(&node)?)?;
        }
        self.set_approval(Approval::Automatic)
    }

    /// The end of its log, for a failure's report.
    pub fn log_tail(&self) -> String {
        self.daemon.as_ref().map_or_else(|| "headscale is away".to_owned(), Process::log_tail)
    }

    fn delete(&self, id: &str) -> Result<()> {
        self.headscale(&["nodes", "delete", "-i", id, "--force"]).map(drop)
    }

    fn id_of_node(&self, name: &str) -> Result<String> {
        let nodes = self.nodes()?;
        let node = nodes.iter().find(|node| node["given_name"] == name || node["name"] == name);
        id_of(node.with_context(|| format!("headscale knows no node named {name}"))?)
    }

    fn preauth_key(&self, more: &[&str]) -> Result<String> {
        let mut words = vec!["preauthkeys", "create", "-u", &self.user, "--reusable"];
        words.extend(more);
        let answer = self.ask(&words)?;
        Ok(answer["key"].as_str().context("headscale answered without a key")?.to_owned())
    }

    fn ask(&self, words: &[&str]) -> Result<Value> {
        let mut words = words.to_vec();
        words.extend(["-o", "json"]);
        let answer = self.headscale(&words)?;
        serde_json::from_str(&answer).with_context(|| format!("headscale {} answered no JSON", words[0]))
    }

    fn headscale(&self, words: &[&str]) -> Result<String> {
        let config_path = self.folder.join("config.yaml");
        let mut all = vec![path_text(&self.headscale)?, "-c", path_text(&config_path)?];
        all.extend(words);
        self.namespace.run(&all)
    }

    fn wait_until_healthy(&mut self) -> Result<()> {
        wait_for("headscale to be healthy", Duration::from_secs(30), || {
            if !self.daemon.as_mut().is_some_and(Process::is_alive) {
                bail!("headscale has ended");
            }
            self.namespace.run(&["curl", "-skf", "-m", "2", "https://127.0.0.1/health"]).map(drop)
        })
    }
}

/// Headscale prints identifiers as numbers or as strings, by command.
fn id_of(object: &Value) -> Result<String> {
    let id = &object["id"];
    let text = id.as_str().map(str::to_owned).or_else(|| id.as_u64().map(|id| id.to_string()));
    text.with_context(|| format!("headscale answered with the id {id}"))
}

fn policy(approval: Approval) -> Value {
    let approvers = match approval {
        Approval::Automatic => json!(["tag:exit"]),
        Approval::ByHand => json!([]),
    };
    json!({
        "tagOwners": {"tag:exit": ["alice@"]},
        "autoApprovers": {"exitNode": approvers, "routes": {}},
        "grants": [
            {"src": ["*"], "dst": ["*"], "ip": ["*"]},
            // Without this one an exit node carries nothing: `*` covers only the tailnet's own addresses.
            // Nor does `*` cover more than TCP, UDP and ICMP.
            {
                "src": ["autogroup:member"],
                "dst": ["autogroup:internet"],
                "ip": ["*", "esp:*", "gre:*", "sctp:*"],
            },
        ],
    })
}

fn config(folder: &str, identity: &Identity) -> String {
    let (certificate, key) = (identity.certificate.display(), identity.key.display());
    format!(
        r#"server_url: https://hs.example.net
listen_addr: 0.0.0.0:443
metrics_listen_addr: ""
grpc_listen_addr: 127.0.0.1:50443
tls_cert_path: {certificate}
tls_key_path: {key}
noise: {{private_key_path: {folder}/noise.key}}
prefixes: {{v4: 100.64.0.0/10, v6: "fd7a:115c:a1e0::/48", allocation: sequential}}
database: {{type: sqlite, sqlite: {{path: {folder}/db.sqlite}}}}
derp:
  server:
    enabled: true
    region_id: 999
    region_code: lab
    region_name: lab
    verify_clients: false
    stun_listen_addr: "0.0.0.0:3478"
    private_key_path: {folder}/derp.key
    automatically_add_embedded_derp_region: true
    ipv4: {CONTROL_V4}
  urls: []
  paths: []
  auto_update_enabled: false
disable_check_updates: true
dns: {{magic_dns: true, base_domain: tail.example.net, override_local_dns: false, nameservers: {{global: []}}}}
policy: {{mode: database}}
unix_socket: {folder}/hs.sock
log: {{level: info}}
"#
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_automatic_policy_approves_the_tag() {
        assert_eq!(policy(Approval::Automatic)["autoApprovers"]["exitNode"], json!(["tag:exit"]));
        assert_eq!(policy(Approval::ByHand)["autoApprovers"]["exitNode"], json!([]));
    }

    #[test]
    fn reads_an_id_of_either_shape() {
        assert_eq!(id_of(&json!({"id": 3})).unwrap(), "3");
        assert_eq!(id_of(&json!({"id": "3"})).unwrap(), "3");
        assert!(id_of(&json!({})).is_err());
    }
}
