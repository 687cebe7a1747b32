//! Downloads from a server on this machine's loopback, which has a file that was made here and the faults that
//! servers have.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use super::tests::{kernel, lookup, md5, published, weights_of};
use super::*;
use crate::Error;

/// What the server does with a request, the first of them having number 0.
#[derive(Clone, Debug)]
enum Answer {
    /// The file, or the part of it that was asked for if it is still the one with this tag.
    File { bytes: Vec<u8>, tag: &'static str },
    /// As that, but the connection breaks after so many bytes.
    Cut {
        bytes: Vec<u8>,
        tag: &'static str,
        after: usize,
    },
    /// The file whole, whatever was asked for, and nothing about its length.
    Plain { bytes: Vec<u8> },
    /// As `File`, a piece at a time with a pause after each.
    Slow { bytes: Vec<u8>, pause: Duration },
    /// Another address.
    Elsewhere(String),
    /// These lines and nothing else.
    Raw(String),
    /// Nothing, for a while.
    Silence(Duration),
}

struct Server {
    url: String,
    /// The first line and the headers of each request.
    asked: Arc<Mutex<Vec<Vec<String>>>>,
}

impl Server {
    /// Answers request number `n` with `answers[n]`, the last of them for all after it.
    fn new(answers: Vec<Answer>) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let asked = Arc::new(Mutex::new(Vec::new()));
        let server = Server {
            url,
            asked: Arc::clone(&asked),
        };
        // It ends with the process.
        thread::spawn(move || {
            for connection in listener.incoming() {
                let (answers, asked) = (answers.clone(), Arc::clone(&asked));
                thread::spawn(move || serve(connection.unwrap(), &answers, &asked));
            }
        });
        server
    }

    fn requests(&self) -> Vec<Vec<String>> {
        self.asked.lock().unwrap().clone()
    }

    /// The values of a header, request by request.
    fn header(&self, name: &str) -> Vec<Option<String>> {
        let of = |request: &Vec<String>| {
            let named = request.iter().filter_map(|line| line.split_once(": "));
            let mut named = named.filter(|(known, _)| known.eq_ignore_ascii_case(name));
            Some(named.next()?.1.to_string())
        };
        self.requests().iter().map(of).collect()
    }
}

fn serve(connection: TcpStream, answers: &[Answer], asked: &Mutex<Vec<Vec<String>>>) {
    let lines = BufReader::new(connection.try_clone().unwrap()).lines();
    let request: Vec<String> = lines
        .map_while(|line| line.ok())
        .take_while(|line| !line.is_empty())
        .collect();
    if request.is_empty() {
        return;
    }
    let number = {
        let mut asked = asked.lock().unwrap();
        asked.push(request.clone());
        asked.len() - 1
    };
    let mut out = connection;
    let answer = answers.get(number).unwrap_or(&answers[answers.len() - 1]);
    // Whoever asks may go away.
    let _ = match answer {
        Answer::File { bytes, tag } => {
            let (head, part) = part(&request, bytes, tag);
            out.write_all(head.as_bytes())
                .and_then(|()| out.write_all(part))
        }
        Answer::Cut { bytes, tag, after } => {
            let (head, part) = part(&request, bytes, tag);
            out.write_all(head.as_bytes())
                .and_then(|()| out.write_all(&part[..*after]))
        }
        Answer::Plain { bytes } => {
            let head = "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n";
            out.write_all(head.as_bytes())
                .and_then(|()| out.write_all(bytes))
        }
        Answer::Slow { bytes, pause } => {
            let (head, part) = part(&request, bytes, "\"slow\"");
            let mut written = out.write_all(head.as_bytes());
            for piece in part.chunks(part.len().div_ceil(8).max(1)) {
                thread::sleep(*pause);
                written = written.and_then(|()| out.write_all(piece));
            }
            written
        }
        Answer::Elsewhere(url) => {
            let head =
                format!("HTTP/1.1 302 Found\r\nLocation: {url}\r\nContent-Length: 0\r\n\r\n");
            out.write_all(head.as_bytes())
        }
        Answer::Raw(text) => out.write_all(text.as_bytes()),
        Answer::Silence(time) => {
            thread::sleep(*time);
            Ok(())
        }
    };
}

/// The head and the bytes of an answer to a request that may ask for a part.
fn part<'b>(request: &[String], bytes: &'b [u8], tag: &str) -> (String, &'b [u8]) {
    let header = |name: &str| {
        let named = request.iter().filter_map(|line| line.split_once(": "));
        let mut named = named.filter(|(known, _)| known.eq_ignore_ascii_case(name));
        named.next().map(|(_, value)| value.to_string())
    };
    let range = header("range").filter(|_| header("if-range").is_none_or(|known| known == tag));
    let from = range.and_then(|range| {
        range
            .strip_prefix("bytes=")?
            .strip_suffix('-')?
            .parse::<usize>()
            .ok()
    });
    let total = bytes.len();
    let (status, bytes) = match from {
        Some(from) if from >= total => {
            let head = format!("HTTP/1.1 416 No\r\nContent-Range: bytes */{total}\r\n");
            return (format!("{head}Content-Length: 0\r\n\r\n"), &[]);
        }
        Some(from) => {
            let range = format!("Content-Range: bytes {from}-{}/{total}\r\n", total - 1);
            (format!("206 Partial Content\r\n{range}"), &bytes[from..])
        }
        None => ("200 OK\r\n".to_string(), bytes),
    };
    let length = bytes.len();
    let head = format!("HTTP/1.1 {status}ETag: {tag}\r\nContent-Length: {length}\r\n\r\n");
    (head, bytes)
}

/// A lookup that downloads from the server and is not patient.
fn from(server: &Server, folder: &Path) -> Lookup {
    let lookup = lookup(folder).download(true).base_url(&server.url);
    lookup.patience(Duration::from_millis(300))
}

/// What is in this library's folder, sorted, the lock left out.
fn kept(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder.join("home/models")).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = names.filter(|name| !name.ends_with(".lock")).collect();
    names.sort();
    names
}

const FILE: &str = "published_notop.h5";

fn whole(bytes: &[u8]) -> Answer {
    Answer::File {
        bytes: bytes.to_vec(),
        tag: "\"one\"",
    }
}

#[test]
fn a_file_is_fetched_once_and_told_how_far_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let bytes = weights_of(1);
    let server = Server::new(vec![whole(&bytes)]);
    let told = Arc::new(AtomicUsize::new(0));
    let (heard, length) = (Arc::clone(&told), bytes.len() as u64);
    let lookup = from(&server, folder.path()).on_progress(move |done, total| {
        assert_eq!(total, Some(length));
        heard.store(done as usize, Ordering::Relaxed);
    });
    let application = published(md5(&bytes));
    let backbone = application.pretrained_with(&lookup).unwrap();
    assert_eq!(
        kernel(&backbone),
        kernel(&published(None).seed(1).build().unwrap())
    );
    assert_eq!(told.load(Ordering::Relaxed), bytes.len());
    application.find_weights(&lookup).unwrap();
    let requests = server.requests();
    assert_eq!(requests.len(), 1);
    // The path is that of the file's address.
    assert_eq!(requests[0][0], "GET /weights/published_notop.h5 HTTP/1.1");
    assert_eq!(kept(folder.path()), [FILE]);
}

#[test]
fn a_cut_download_goes_on_where_it_was() {
    let bytes = weights_of(1);
    for hash in [md5(&bytes), None] {
        let folder = tempfile::tempdir().unwrap();
        let (bytes, tag) = (bytes.clone(), "\"one\"");
        let cut = Answer::Cut {
            bytes: bytes.clone(),
            tag,
            after: 1000,
        };
        let server = Server::new(vec![cut.clone(), cut, whole(&bytes)]);
        let path = published(hash)
            .find_weights(&from(&server, folder.path()))
            .unwrap();
        assert_eq!(std::fs::read(path).unwrap(), bytes);
        let ranges = server.header("range");
        let expected = [None, Some("bytes=1000-"), Some("bytes=2000-")];
        assert_eq!(ranges, expected.map(|range| range.map(str::to_string)));
        assert_eq!(server.header("if-range")[1].as_deref(), Some(tag));
    }
}

#[test]
fn what_another_process_began_is_not_mixed_with_another_file() {
    let (old, new) = (weights_of(1), weights_of(2));
    for hash in [md5(&new), None] {
        let folder = tempfile::tempdir().unwrap();
        let cut = Answer::Cut {
            bytes: old.clone(),
            tag: "\"old\"",
            after: 1000,
        };
        let gone = Answer::Raw("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n".to_string());
        let server = Server::new(vec![cut, gone]);
        published(hash.clone())
            .find_weights(&from(&server, folder.path()))
            .unwrap_err();
        assert!(kept(folder.path()).contains(&format!(".{FILE}.part")));
        let server = Server::new(vec![Answer::File {
            bytes: new.clone(),
            tag: "\"new\"",
        }]);
        let path = published(hash.clone())
            .find_weights(&from(&server, folder.path()))
            .unwrap();
        assert_eq!(std::fs::read(path).unwrap(), new);

        // A server without tags: the whole is compared with the hash, or begun anew.
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(folder.path().join("home/models")).unwrap();
        let part = folder.path().join(format!("home/models/.{FILE}.part"));
        std::fs::write(part, &old[..1000]).unwrap();
        let path = published(hash)
            .find_weights(&from(&server, folder.path()))
            .unwrap();
        assert_eq!(std::fs::read(path).unwrap(), new);
        let left: Vec<String> = kept(folder.path());
        assert!(left.iter().all(|name| !name.contains("part")), "{left:?}");
    }
}

#[test]
fn what_was_whole_when_the_process_was_killed_is_not_fetched_again() {
    let folder = tempfile::tempdir().unwrap();
    let bytes = weights_of(1);
    std::fs::create_dir_all(folder.path().join("home/models")).unwrap();
    let part = folder.path().join(format!("home/models/.{FILE}.part"));
    std::fs::write(part, &bytes).unwrap();
    let server = Server::new(vec![whole(&bytes)]);
    published(md5(&bytes))
        .find_weights(&from(&server, folder.path()))
        .unwrap();
    assert_eq!(server.requests().len(), 1);
    assert_eq!(kept(folder.path()), [FILE]);
}

#[test]
fn a_file_that_is_another_one_is_not_kept() {
    let folder = tempfile::tempdir().unwrap();
    let bytes = weights_of(1);
    let mut changed = bytes.clone();
    *changed.last_mut().unwrap() ^= 1;
    let server = Server::new(vec![whole(&changed)]);
    let error = published(md5(&bytes)).find_weights(&from(&server, folder.path()));
    let error = error.unwrap_err().to_string();
    assert!(
        error.contains("MD5") && error.contains("nothing was kept"),
        "{error}"
    );
    assert_eq!(server.requests().len(), 1);
    assert!(kept(folder.path()).is_empty());

    // Where no hash is published, the tensors tell.
    let server = Server::new(vec![whole(b"<html>sign in first</html>")]);
    let error = published(None)
        .find_weights(&from(&server, folder.path()))
        .unwrap_err();
    assert!(matches!(error, Error::Io(_)), "{error}");
    assert!(kept(folder.path()).is_empty());
}

#[test]
fn the_hash_of_the_first_download_holds_for_the_second() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::new(vec![whole(&weights_of(1)), whole(&weights_of(2))]);
    let lookup = from(&server, folder.path());
    let path = published(None).find_weights(&lookup).unwrap();
    let note = format!("{FILE}.sha256");
    assert_eq!(kept(folder.path()), [FILE, note.as_str()]);
    std::fs::remove_file(&path).unwrap();
    let error = published(None)
        .find_weights(&lookup)
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("SHA-256") && error.contains(&note),
        "{error}"
    );
    std::fs::remove_file(folder.path().join("home/models").join(&note)).unwrap();
    published(None).find_weights(&lookup).unwrap();
}

#[test]
fn a_wrong_file_that_is_here_is_named_and_not_overwritten() {
    let folder = tempfile::tempdir().unwrap();
    let bytes = weights_of(1);
    for home in ["home", "keras"] {
        std::fs::create_dir_all(folder.path().join(home).join("models")).unwrap();
        let wrong = folder.path().join(home).join("models").join(FILE);
        std::fs::write(wrong, home).unwrap();
    }
    let gone = Answer::Raw("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n".to_string());
    let server = Server::new(vec![gone, whole(&bytes)]);
    let lookup = from(&server, folder.path());
    let error = published(md5(&bytes)).find_weights(&lookup).unwrap_err();
    let error = error.to_string();
    for home in ["home", "keras"] {
        let wrong = folder.path().join(home).join("models").join(FILE);
        assert!(error.contains(&wrong.display().to_string()), "{error}");
        assert_eq!(std::fs::read(wrong).unwrap(), home.as_bytes());
    }
    let path = published(md5(&bytes)).find_weights(&lookup).unwrap();
    assert_eq!(std::fs::read(path).unwrap(), bytes);
    let aside = format!("{FILE}.refused");
    assert_eq!(kept(folder.path()), [FILE, aside.as_str()]);
    let aside = folder.path().join("home/models").join(aside);
    assert_eq!(std::fs::read(aside).unwrap(), b"home");
}

#[test]
fn an_old_beginning_never_stands_beside_a_new_tag() {
    let folder = tempfile::tempdir().unwrap();
    let bytes = weights_of(1);
    let part = folder.path().join(format!("home/models/.{FILE}.part"));
    // A folder in the place of the tag's file stops the process between the two steps.
    std::fs::create_dir_all(part.with_extension("part.tag")).unwrap();
    std::fs::write(&part, b"another file's beginning").unwrap();
    let server = Server::new(vec![Answer::Plain {
        bytes: bytes.clone(),
    }]);
    let error = published(md5(&bytes)).find_weights(&from(&server, folder.path()));
    assert!(matches!(error, Err(Error::File(_))), "{error:?}");
    assert_eq!(std::fs::read(part).unwrap(), b"");
}

#[test]
fn other_addresses_are_followed_but_not_in_circles() {
    let folder = tempfile::tempdir().unwrap();
    let bytes = weights_of(1);
    let end = Server::new(vec![whole(&bytes)]);
    let begin = Server::new(vec![Answer::Elsewhere(format!("{}/there", end.url))]);
    published(md5(&bytes))
        .find_weights(&from(&begin, folder.path()))
        .unwrap();
    assert_eq!(end.requests()[0][0], "GET /there HTTP/1.1");
    let folder = tempfile::tempdir().unwrap();
    let circle = Server::new(vec![Answer::Elsewhere("/again".to_string())]);
    let error = published(md5(&bytes)).find_weights(&from(&circle, folder.path()));
    assert!(matches!(error, Err(Error::File(_))), "{error:?}");
    // Ten redirections at most; what a busy machine lets time out is tried again, three times at most.
    assert!(circle.requests().len() <= 4 * 11);
}

#[test]
fn a_slow_server_is_waited_for_and_a_silent_one_is_not() {
    let bytes = weights_of(1);
    let folder = tempfile::tempdir().unwrap();
    // In all far longer than a single wait may be.
    let slow = Answer::Slow {
        bytes: bytes.clone(),
        pause: Duration::from_millis(100),
    };
    let server = Server::new(vec![slow]);
    published(md5(&bytes))
        .find_weights(&from(&server, folder.path()))
        .unwrap();
    assert_eq!(server.requests().len(), 1);
    let folder = tempfile::tempdir().unwrap();
    let server = Server::new(vec![Answer::Silence(Duration::from_secs(5))]);
    let error = published(md5(&bytes)).find_weights(&from(&server, folder.path()));
    let error = error.unwrap_err().to_string();
    assert!(error.contains("without a network"), "{error}");
    assert!(server.requests().len() > 1);
}

#[test]
fn a_server_that_tells_no_length_is_believed_by_the_hash() {
    let bytes = weights_of(1);
    let folder = tempfile::tempdir().unwrap();
    let server = Server::new(vec![Answer::Plain {
        bytes: bytes.clone(),
    }]);
    published(md5(&bytes))
        .find_weights(&from(&server, folder.path()))
        .unwrap();
    let folder = tempfile::tempdir().unwrap();
    let half = bytes[..bytes.len() / 2].to_vec();
    let server = Server::new(vec![Answer::Plain { bytes: half }]);
    published(md5(&bytes))
        .find_weights(&from(&server, folder.path()))
        .unwrap_err();
    assert!(kept(folder.path()).is_empty());
}

#[test]
fn refusals_and_nonsense_are_told_with_what_to_do() {
    let bytes = weights_of(1);
    let raw = |text: &str| Answer::Raw(format!("HTTP/1.1 {text}\r\n\r\n"));
    for (answer, told, tried) in [
        (raw("404 Not Found\r\nContent-Length: 0"), "404", 1),
        (raw("403 Forbidden\r\nContent-Length: 0"), "403", 1),
        (raw("503 Later\r\nContent-Length: 0"), "503", 4),
        (raw("200 OK\r\nContent-Length: many"), "", 1),
        (raw("200 OK\r\nContent-Length: -5"), "", 1),
        (raw("200 OK\r\nContent-Length: 99999999999999"), "4 GiB", 1),
        (
            raw("206 Partial Content\r\nContent-Range: bytes 7-8/9\r\nContent-Length: 2"),
            "",
            4,
        ),
        (Answer::Raw("SSH-2.0-OpenSSH_9.6\r\n".to_string()), "", 1),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let server = Server::new(vec![answer.clone()]);
        let error = published(md5(&bytes)).find_weights(&from(&server, folder.path()));
        let error = error.unwrap_err();
        assert!(matches!(error, Error::File(_)), "{answer:?}: {error}");
        let text = error.to_string();
        assert!(
            text.contains(told) && text.contains(FILE),
            "{answer:?}: {text}"
        );
        assert!(
            server.requests().len() <= tried,
            "{answer:?}: {:?}",
            server.requests()
        );
        assert!(!folder.path().join("home/models").join(FILE).exists());
    }
}

#[test]
fn without_a_network_the_error_says_which_file_to_put_where() {
    let folder = tempfile::tempdir().unwrap();
    let bytes = weights_of(1);
    // Nobody listens at a port that was just let go.
    let port = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let lookup = lookup(folder.path())
        .download(true)
        .base_url(format!("http://{port}/"));
    let lookup = lookup.patience(Duration::from_millis(50));
    let error = published(md5(&bytes))
        .find_weights(&lookup)
        .unwrap_err()
        .to_string();
    let place = format!("home/models/{FILE}");
    for told in [
        place.as_str(),
        "MD5",
        &format!("http://{port}/weights/{FILE}"),
    ] {
        assert!(error.contains(told), "{told}: {error}");
    }
}

#[test]
fn several_that_want_the_same_file_fetch_it_once() {
    let folder = tempfile::tempdir().unwrap();
    let bytes = weights_of(1);
    let slow = Answer::Slow {
        bytes: bytes.clone(),
        pause: Duration::from_millis(20),
    };
    let server = Server::new(vec![slow]);
    thread::scope(|scope| {
        for _ in 0..4 {
            let lookup = from(&server, folder.path());
            let application = published(md5(&bytes));
            scope.spawn(move || application.find_weights(&lookup).unwrap());
        }
    });
    assert_eq!(server.requests().len(), 1);
}

#[test]
#[cfg(target_os = "linux")]
fn a_folder_that_cannot_be_written_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let bytes = weights_of(1);
    let server = Server::new(vec![whole(&bytes)]);
    std::fs::write(folder.path().join("home"), "a file").unwrap();
    let error = published(md5(&bytes)).find_weights(&from(&server, folder.path()));
    let error = error.unwrap_err().to_string();
    assert!(error.contains("REGRAFT_HOME"), "{error}");
    assert!(server.requests().is_empty());
}

#[test]
fn who_is_waited_for_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let bytes = weights_of(1);
    let models = folder.path().join("home/models");
    std::fs::create_dir_all(&models).unwrap();
    let path = models.join(format!(".{FILE}.lock"));
    std::fs::write(&path, "4711").unwrap();
    let lock = std::fs::File::open(&path).unwrap();
    lock.lock().unwrap();
    let server = Server::new(vec![whole(&bytes)]);
    let told = Arc::new(Mutex::new(Vec::new()));
    let heard = Arc::clone(&told);
    // The other one lets go once it is known who it is.
    let lock = Mutex::new(Some(lock));
    let lookup = from(&server, folder.path()).on_wait(move |text| {
        heard.lock().unwrap().push(text.to_string());
        *lock.lock().unwrap() = None;
    });
    let found = published(md5(&bytes)).find_weights(&lookup).unwrap();
    assert_eq!(std::fs::read(found).unwrap(), bytes);
    let told = told.lock().unwrap();
    let expected = format!(
        "waiting for process 4711, which gets {FILE} and holds {}",
        path.display()
    );
    assert_eq!(*told, [expected]);
    assert_eq!(
        std::fs::read_to_string(&path).unwrap(),
        std::process::id().to_string()
    );
}
