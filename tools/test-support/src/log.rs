//! What a server prints: read to its end so that it never blocks, the newest part kept, and asked
//! for the line that says where it listens.

use std::io::Read;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::Condvar;
use std::sync::Mutex;
use std::thread;
use std::time::Duration;

/// How much of the newest output is kept, in bytes.
const KEPT: usize = 64 * 1024;

/// The output of one server; clones share it.
#[derive(Clone, Default)]
pub(crate) struct Log {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    newest: Vec<u8>,
    address: Option<SocketAddr>,
    /// Pipes that are still read.
    open: usize,
}

impl Log {
    /// Reads a pipe of the server on a thread of its own.
    pub(crate) fn follow(
        &self,
        mut pipe: impl Read + Send + 'static,
    ) {
        self.shared.state.lock().unwrap().open += 1;
        let log = self.clone();
        thread::spawn(move || {
            let mut buffer = [0; 8 * 1024];
            while let Ok(count @ 1..) = pipe.read(&mut buffer) {
                log.update(|state| state.append(&buffer[..count]));
            }
            log.update(|state| state.open -= 1);
        });
    }

    fn update(
        &self,
        change: impl FnOnce(&mut State),
    ) {
        change(&mut self.shared.state.lock().unwrap());
        self.shared.changed.notify_all();
    }

    /// Waits until the server says where it listens. `None`: it ended, or took too long.
    pub(crate) fn address(
        &self,
        patience: Duration,
    ) -> Option<SocketAddr> {
        let state = self.shared.state.lock().unwrap();
        let is_open = |state: &mut State| state.address.is_none() && state.open > 0;
        let waited = self.shared.changed.wait_timeout_while(state, patience, is_open);
        waited.unwrap().0.address
    }

    /// The newest output.
    pub(crate) fn text(&self) -> String {
        let state = self.shared.state.lock().unwrap();
        String::from_utf8_lossy(&state.newest).into_owned()
    }
}

impl State {
    fn append(
        &mut self,
        output: &[u8],
    ) {
        self.newest.extend_from_slice(output);
        if self.address.is_none() {
            let text = String::from_utf8_lossy(&self.newest);
            self.address = text.split_inclusive('\n').find_map(listening);
        }
        let surplus = self.newest.len().saturating_sub(KEPT);
        self.newest.drain(..surplus);
    }
}

/// The address in `.. listening .. http://ADDRESS ..`. A line that is only half there is none: it
/// may end within the port.
fn listening(line: &str) -> Option<SocketAddr> {
    let line = line.strip_suffix('\n')?;
    let (_, after) = line.split_once("listening")?;
    let (_, url) = after.split_once("http://")?;
    let is_address = |c: char| c.is_ascii_hexdigit() || ".:[]".contains(c);
    let end = url.find(|c| !is_address(c)).unwrap_or(url.len());
    url[..end].parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn port_in(line: &str) -> Option<u16> {
        listening(line).map(|address| address.port())
    }

    #[test]
    fn every_server_says_where_it_listens() {
        for line in [
            "INFO step1 is listening on http://127.0.0.1:9000\n",
            "INFO step2 is listening on http://127.0.0.1:9000, clients connect to http://localhost:1/mcp\n",
            "INFO step2 is listening, try: curl http://127.0.0.1:9000/health\n",
            "INFO auth-server is listening on http://127.0.0.1:9000, its issuer is http://localhost:1\n",
            "INFO step1 is listening on http://[::1]:9000\r\n",
            "INFO step1 is listening on http://127.0.0.1:9000\x1b[0m\n",
        ] {
            assert_eq!(port_in(line), Some(9000), "{line}");
        }
    }

    #[test]
    fn other_lines_say_nothing() {
        for line in [
            "INFO keys come from http://127.0.0.1:9000\n",
            "INFO step1 is listening on http://localhost:9000\n",
            "INFO http://127.0.0.1:9000 is not listening\n",
            "INFO step1 is listening on http://127.0.0.1:90",
            "",
        ] {
            assert_eq!(port_in(line), None, "{line}");
        }
    }

    #[test]
    fn a_line_that_comes_in_pieces_is_read_when_it_is_whole() {
        let mut state = State::default();
        for piece in ["one\ntwo is listening on http://127.0.0.1:9", "00", "0\n"] {
            assert_eq!(state.address, None);
            state.append(piece.as_bytes());
        }
        assert_eq!(state.address.map(|address| address.port()), Some(9000));
    }

    #[test]
    fn only_the_newest_output_is_kept() {
        let log = Log::default();
        let endless = std::io::repeat(b'x').take(1024 * 1024);
        log.follow(endless.chain(&b"the end"[..]));
        assert_eq!(log.address(Duration::from_secs(60)), None);
        assert_eq!(log.text().len(), KEPT);
        assert!(log.text().ends_with("the end"));
    }
}
