//! Keeps `/etc/resolv.conf` naming the stub and nobody else: tailscaled asks the first resolver there for its clients,
//! other programs ask any.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

const RESOLV_CONF: &str = "/etc/resolv.conf";
const STUB: &str = "127.0.0.1";
const WANTED: &str = "nameserver 127.0.0.1\n";
/// Of somebody else's file: no more is read, and no more of it is told.
const MOST_READ: u64 = 64 * 1024;
const MOST_TOLD: usize = 100;

#[derive(Debug)]
pub struct ResolvConf {
    path: PathBuf,
    /// Why it cannot be put right; told once.
    trouble: Option<String>,
}

impl Default for ResolvConf {
    fn default() -> Self {
        Self::at(Path::new(RESOLV_CONF))
    }
}

impl ResolvConf {
    fn at(path: &Path) -> Self {
        Self { path: path.to_owned(), trouble: None }
    }

    /// To be called now and then: puts the file right, and tells in a sentence what it said before. Reads it every
    /// time: its stamps are too coarse to show a second write right after the first.
    pub fn look(&mut self) -> Option<String> {
        let (mended, trouble) = match self.mend() {
            Ok(mended) => (mended, None),
            Err(error) => (None, Some(format!("{}: {error}", self.path.display()))),
        };
        if let Some(trouble) = trouble.as_ref().filter(|_| trouble != self.trouble) {
            tracing::warn!("{trouble}: names of the box's clients may be asked of others");
        }
        self.trouble = trouble;
        mended
    }

    /// What is wrong with the file, as it is.
    pub fn complaint(&self) -> Option<String> {
        let path = self.path.display();
        match read(&self.path) {
            Ok(text) => wrong(&text).map(|wrong| format!("{path} {wrong}")),
            Err(error) => Some(format!("{path} cannot be read: {error}")),
        }
    }

    /// Written in place, never replaced: in a network namespace it is a bind mount. A symlink is followed.
    fn mend(&self) -> Result<Option<String>, String> {
        let wrong = match read(&self.path) {
            Ok(text) => wrong(&text),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Some("was not there".to_owned()),
            Err(error) => return Err(format!("cannot be read: {error}")),
        };
        let Some(wrong) = wrong else { return Ok(None) };
        write(&self.path).map_err(|error| format!("{wrong}, and cannot be written: {error}"))?;
        Ok(Some(format!("{} {wrong}", self.path.display())))
    }
}

fn read(path: &Path) -> io::Result<String> {
    let mut bytes = Vec::new();
    File::open(path)?.take(MOST_READ).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// Before it is cut: whoever reads in between finds our line first.
fn write(path: &Path) -> io::Result<()> {
    let file = OpenOptions::new().write(true).create(true).truncate(false).open(path)?;
    file.write_all_at(WANTED.as_bytes(), 0)?;
    file.set_len(WANTED.len() as u64)
}

/// What the file does that it should not, as the end of a sentence.
fn wrong(text: &str) -> Option<String> {
    if text.trim_end() == WANTED.trim_end() {
        return None;
    }
    let lines = || text.lines().filter(|line| !line.trim().is_empty());
    let named = lines().filter_map(|line| line.trim().strip_prefix("nameserver")).map(str::trim);
    let others: Vec<&str> = named.filter(|server| *server != STUB).collect();
    let more: Vec<&str> = lines().filter(|line| *line != WANTED.trim_end()).collect();
    let wrong = match (others.is_empty(), more.is_empty()) {
        (false, _) => format!("named {}", others.join(", ")),
        (true, false) => format!("said {}", more.join(", ")),
        (true, true) if lines().next().is_none() => "named no resolver".to_owned(),
        (true, true) => format!("named {STUB} more than once, or not first"),
    };
    Some(wrong.chars().filter(|letter| !letter.is_control()).take(MOST_TOLD).collect())
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{MetadataExt as _, symlink};

    use super::*;

    struct Etc(tempfile::TempDir);

    impl Etc {
        fn holding(text: &str) -> (Self, ResolvConf) {
            let etc = Self(tempfile::tempdir().unwrap());
            fs::write(etc.path(), text).unwrap();
            let resolv_conf = ResolvConf::at(&etc.path());
            (etc, resolv_conf)
        }

        fn path(&self) -> PathBuf {
            self.0.path().join("resolv.conf")
        }

        fn text(&self) -> String {
            fs::read_to_string(self.path()).unwrap()
        }
    }

    #[test]
    fn says_what_the_file_should_not() {
        for right in [WANTED, "nameserver 127.0.0.1", "nameserver 127.0.0.1 \n\n"] {
            assert_eq!(wrong(right), None, "{right:?}");
        }
        for (text, complaint) in [
            ("", "named no resolver"),
            ("search lan\n", "said search lan"),
            (" nameserver 127.0.0.1\n", "said  nameserver 127.0.0.1"),
            ("nameserver127.0.0.1\n", "said nameserver127.0.0.1"),
            ("nameserver 192.168.1.1\nnameserver fe80::1%eth0\n", "named 192.168.1.1, fe80::1%eth0"),
            ("nameserver 127.0.0.1\nnameserver 192.168.1.1\n", "named 192.168.1.1"),
            ("nameserver 127.0.0.10\n", "named 127.0.0.10"),
            ("# Generated by somebody\nnameserver 127.0.0.1\n", "said # Generated by somebody"),
            ("nameserver 127.0.0.1\noptions rotate\nsearch lan\n", "said options rotate, search lan"),
            ("nameserver 127.0.0.1\nnameserver 127.0.0.1\n", "named 127.0.0.1 more than once, or not first"),
            ("nameserver \u{1b}[2J\n", "named [2J"),
        ] {
            assert_eq!(wrong(text).as_deref(), Some(complaint), "{text:?}");
        }
        assert_eq!(wrong(&"x".repeat(9999)).unwrap().len(), MOST_TOLD);
    }

    #[test]
    fn puts_the_file_right_in_place_and_says_what_it_said() {
        let (etc, mut resolv_conf) = Etc::holding("search lan\nnameserver 192.168.1.1\n");
        let inode = fs::metadata(etc.path()).unwrap().ino();
        let told = resolv_conf.look().unwrap();
        assert!(told.ends_with("resolv.conf named 192.168.1.1"), "{told}");
        assert_eq!(etc.text(), WANTED, "nothing of what was longer is left");
        assert_eq!(fs::metadata(etc.path()).unwrap().ino(), inode);
        assert_eq!(resolv_conf.look(), None);
        assert_eq!(resolv_conf.complaint(), None);
    }

    #[test]
    fn notices_every_later_write_also_of_the_same_length() {
        let (etc, mut resolv_conf) = Etc::holding(WANTED);
        for _ in 0..100 {
            assert_eq!(resolv_conf.look(), None);
            fs::write(etc.path(), WANTED.replace("127.0.0.1", "192.0.2.1")).unwrap();
            assert!(resolv_conf.complaint().unwrap().ends_with("named 192.0.2.1"));
            assert!(resolv_conf.look().is_some());
            assert_eq!(etc.text(), WANTED);
        }
    }

    #[test]
    fn writes_a_file_that_went_and_follows_a_link() {
        let (etc, mut resolv_conf) = Etc::holding(WANTED);
        fs::remove_file(etc.path()).unwrap();
        assert!(resolv_conf.look().unwrap().ends_with("was not there"));
        assert_eq!(etc.text(), WANTED);

        let target = etc.0.path().join("stub-resolv.conf");
        fs::write(&target, "nameserver 127.0.0.53\n").unwrap();
        fs::remove_file(etc.path()).unwrap();
        symlink(&target, etc.path()).unwrap();
        assert!(resolv_conf.look().unwrap().ends_with("named 127.0.0.53"));
        assert_eq!(fs::read_to_string(&target).unwrap(), WANTED);
        assert!(fs::symlink_metadata(etc.path()).unwrap().is_symlink());
    }

    #[test]
    fn tells_once_that_it_cannot_be_written_and_writes_as_soon_as_it_can() {
        let (etc, mut resolv_conf) = Etc::holding(WANTED);
        fs::remove_file(etc.path()).unwrap();
        symlink(etc.0.path().join("gone/resolv.conf"), etc.path()).unwrap();
        assert_eq!(resolv_conf.look(), None);
        let trouble = resolv_conf.trouble.clone().unwrap();
        assert!(trouble.contains("was not there, and cannot be written"), "{trouble}");
        assert_eq!(resolv_conf.look(), None);
        assert_eq!(resolv_conf.trouble, Some(trouble));

        fs::create_dir(etc.0.path().join("gone")).unwrap();
        assert!(resolv_conf.look().is_some());
        assert_eq!((etc.text().as_str(), &resolv_conf.trouble), (WANTED, &None));
    }
}
