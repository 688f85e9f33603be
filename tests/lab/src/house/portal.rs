//! A captive portal: until somebody logs in, every page is the house's own, and nothing else goes out.

use anyhow::Result;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

use crate::internet::{accept, listen, read_request};
use crate::namespace::Namespace;
use crate::serving::Serving;

/// Where it wants its guests to log in.
pub const LOGIN: &str = "http://portal.house.example/login";
const PORT: u16 = 8080;

/// A shut portal. Dropping it lets nobody through: [`Portal::log_in`] does.
#[derive(Debug)]
pub(crate) struct Portal {
    namespace: Namespace,
    _pages: Serving,
}

impl Portal {
    pub(crate) fn shut(namespace: &Namespace) -> Result<Self> {
        let pages = Serving::start(namespace, "portal", || async {
            tokio::spawn(accept(listen(PORT).await?, |stream, _| redirect(stream)));
            Ok(())
        })?;
        namespace.nft(&format!(
            "table inet portal {{
               chain catch {{
                 type nat hook prerouting priority dstnat;
                 iifname lan fib daddr type != local tcp dport 80 redirect to :{PORT};
               }}
               chain hold {{ type filter hook forward priority filter; iifname lan drop; oifname lan drop; }}
             }}"
        ))?;
        Ok(Self { namespace: namespace.clone(), _pages: pages })
    }

    pub(crate) fn log_in(self) -> Result<()> {
        self.namespace.nft("delete table inet portal")
    }
}

async fn redirect(mut stream: TcpStream) -> Result<()> {
    read_request(&mut stream).await?;
    let answer =
        format!("HTTP/1.1 302 Found\r\nlocation: {LOGIN}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
    stream.write_all(answer.as_bytes()).await?;
    Ok(stream.shutdown().await?)
}
