//! Servers that start, that do not, and that are killed.

use std::net::TcpListener;
use std::net::TcpStream;

use crate::Server;
use crate::command;
use crate::on_free_port;

#[test]
fn a_server_listens_where_it_says_and_ends_with_its_value() {
    let server = Server::start(command("step1"));
    let address = server.address();
    assert_eq!(server.url("/health"), format!("http://{address}/health"));
    assert!(server.log().contains("step1 is listening"));
    assert!(TcpStream::connect(address).is_ok());
    drop(server);
    assert!(TcpStream::connect(address).is_err());
}

#[test]
fn a_killed_server_is_gone_until_it_is_started_again() {
    let mut server = Server::start(command("step1"));
    server.kill();
    assert!(TcpStream::connect(server.address()).is_err());
    server.restart();
    assert!(TcpStream::connect(server.address()).is_ok());
}

#[test]
fn a_server_that_does_not_start_says_why() {
    let mut step1 = command("step1");
    step1.arg("--nonsense");
    let error = Server::try_start(step1, 0).err().unwrap();
    assert!(error.to_string().contains("'--nonsense'"), "{error}");
}

#[test]
fn another_port_is_chosen_where_somebody_was_faster() {
    let mut faster = None;
    let server = on_free_port(|port| {
        if faster.is_none() {
            faster = Some(TcpListener::bind(("127.0.0.1", port)).unwrap());
        }
        Server::try_start(command("step1"), port)
    });
    let taken = faster.unwrap().local_addr().unwrap();
    assert_ne!(server.address().port(), taken.port());
}
