// The listening socket of an endpoint.
#pragma once

#include <boost/asio/basic_socket_acceptor.hpp>
#include <boost/asio/generic/stream_protocol.hpp>

#include "common/descriptor.hpp"
#include "common/http/endpoint.hpp"
#include "common/http/message.hpp"
#include "common/result.hpp"

namespace notp::http {

using Acceptor = boost::asio::basic_socket_acceptor<boost::asio::generic::stream_protocol>;

struct Listener {
  Acceptor acceptor;
  Transport transport = Transport::kTcp;
  std::string address;    // for people: "127.0.0.1:8282", "[::1]:8282", a path
  uint16_t port = 0;      // 0 for a Unix socket
  bool loopback = false;  // only this machine can reach it

  // A Unix socket's file, to be removed while it is still the same one.
  std::filesystem::path file;
  uint64_t device = 0, inode = 0;

  void close();
};

// kConfig: not a usable address or path; kIo: it is in use.
Result<Listener> open_listener(const boost::asio::any_io_executor& executor,
                               const Endpoint& endpoint);

// Takes a listening socket that a service manager has opened for the endpoint, and will keep when
// this process ends; nothing is done to a Unix socket's file. kConfig: it is not such a socket, or
// the endpoint has another address, mode or group.
Result<Listener> adopt_listener(const boost::asio::any_io_executor& executor,
                                const Endpoint& endpoint, Descriptor socket);

// Returns the connected peer, without `connection` and `certificate`.
Peer peer_of(const boost::asio::generic::stream_protocol::socket& socket, Transport transport);

}  // namespace notp::http
