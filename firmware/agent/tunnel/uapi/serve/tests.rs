use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixListener as StdListener;
use std::os::unix::net::UnixStream as StdStream;

use super::*;
use crate::tunnel::Outside;

const GET: &[u8] = b"get=1\n\n";
/// What it answers without a relay.
const GOT: &str = "listen_port=41642\nfwmark=67108864\nerrno=0\n\n";
/// Long enough that only something broken misses it.
const BOUND: Duration = Duration::from_secs(30);

#[test]
fn the_socket_is_there_while_its_place_is_held_and_for_root_alone() {
    in_a_folder(|folder| {
        let path = folder.join("made/wg0.sock");
        let (_listener, place) = listen(path.parent().unwrap(), "wg0").unwrap();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        drop(place);
        assert!(!path.exists());
    });
}

#[test]
fn what_a_killed_agent_left_is_replaced_and_what_another_made_since_is_kept() {
    in_a_folder(|folder| {
        let path = folder.join("wg0.sock");
        drop(StdListener::bind(&path).unwrap());
        let (listener, place) = listen(folder, "wg0").unwrap();
        drop(listener);
        let (_listener, next) = listen(folder, "wg0").unwrap();
        drop(place);
        assert!(path.exists(), "the next one's was taken away");
        drop(next);
        assert!(!path.exists());
    });
}

#[test]
fn what_another_program_listens_at_is_not_taken_nor_waited_for() {
    in_a_folder(|folder| {
        let path = folder.join("wg0.sock");
        let _alive = StdListener::bind(&path).unwrap();
        let error = listen(folder, "wg0").unwrap_err().to_string();
        assert!(error.contains("another program listens at") && error.contains("wg0.sock"), "{error}");
        // Until no more fit: a caller who waits would wait for ever.
        let caller = || Socket::new(Domain::UNIX, Type::STREAM.nonblocking(), None).unwrap();
        let waiting = std::iter::repeat_with(caller)
            .take_while(|caller| caller.connect(&SockAddr::unix(&path).unwrap()).is_ok())
            .collect::<Vec<_>>();
        assert!(!waiting.is_empty() && listen(folder, "wg0").is_err() && path.exists());
    });
}

#[test]
fn a_file_of_that_name_is_left_alone_and_a_folder_that_cannot_be_made_is_named() {
    in_a_folder(|folder| {
        File::create(folder.join("wg0.sock")).unwrap();
        let error = listen(folder, "wg0").unwrap_err().to_string();
        assert!(error.contains("wg0.sock is no socket: remove it"), "{error}");
        let error = format!("{:#}", listen(&folder.join("wg0.sock/wireguard"), "wg0").unwrap_err());
        assert!(error.contains("cannot make") && error.contains("Not a directory"), "{error}");
    });
}

#[test]
fn a_request_in_pieces_is_answered_and_one_that_is_cut_off_is_refused() {
    in_a_folder(|folder| {
        let socket = Server::start(folder);
        let mut caller = socket.call();
        for piece in GET.chunks(1) {
            caller.write_all(piece).unwrap();
        }
        assert_eq!(hear(caller), GOT);
        let mut caller = socket.call();
        caller.write_all(b"get=1\n").unwrap();
        caller.shutdown(std::net::Shutdown::Write).unwrap();
        assert_eq!(hear(caller), "errno=22\n\n");
    });
}

#[test]
fn a_request_without_end_is_refused_at_its_bound() {
    in_a_folder(|folder| {
        let socket = Server::start(folder);
        for (begin, verdict) in [("set=1\n", "errno=-95\n\n"), ("get=1\n", "errno=22\n\n")] {
            let mut caller = socket.call();
            let endless = begin.to_owned() + &"x".repeat(3 * usize::try_from(LONGEST).unwrap());
            // It may have the answer before it has said all.
            _ = caller.write_all(endless.as_bytes());
            assert_eq!(hear(caller), verdict);
        }
    });
}

/// More than are served at once say nothing, or do not end: they are sent away in time, and whoever asks is answered.
#[test]
fn whoever_is_slow_is_sent_away_for_those_who_ask() {
    in_a_folder(|folder| {
        let socket = Server::start(folder);
        let slow: Vec<StdStream> = (0..MOST).map(|_| socket.call()).collect();
        (&slow[0]).write_all(b"get=1").unwrap();
        let mut caller = socket.call();
        caller.write_all(GET).unwrap();
        assert_eq!(hear(caller), GOT);
        for caller in slow {
            assert_eq!(hear(caller), "");
        }
    });
}

/// With a runtime of its own, as the agent has one.
fn in_a_folder(test: impl FnOnce(&Path)) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let _entered = runtime.enter();
    test(tempfile::tempdir().unwrap().path());
}

struct Server {
    path: PathBuf,
    _place: Place,
    _tell: watch::Sender<Snapshot>,
}

impl Server {
    /// On a thread of its own, which ends with the test.
    fn start(folder: &Path) -> Self {
        let outside = Outside { mark: 0x0400_0000, port: 41642 };
        let (tell, snapshots) = watch::channel(Snapshot { outside, relay: None });
        let (ready, is_ready) = std::sync::mpsc::channel();
        let place = folder.to_owned();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let (listener, place) = listen(&place, "wg0").unwrap();
                ready.send(place).unwrap();
                serve(listener, snapshots).await;
            });
        });
        Self { path: folder.join("wg0.sock"), _place: is_ready.recv().unwrap(), _tell: tell }
    }

    fn call(&self) -> StdStream {
        let stream = StdStream::connect(&self.path).unwrap();
        stream.set_read_timeout(Some(BOUND)).unwrap();
        stream
    }
}

/// Everything until the other side ends; what is unread there is no error here.
fn hear(mut stream: StdStream) -> String {
    let mut heard = Vec::new();
    match stream.read_to_end(&mut heard) {
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::ConnectionReset => {}
        Err(error) => panic!("{error}"),
    }
    String::from_utf8(heard).unwrap()
}
