// A proxy on loopback that handles each connection as the test specifies.
#pragma once

#include <sys/socket.h>

#include <array>
#include <boost/asio/connect.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read_until.hpp>
#include <boost/asio/write.hpp>
#include <functional>
#include <list>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace notp {

class FakeProxy {
 public:
  using Socket = boost::asio::ip::tcp::socket;
  // Called in the connection's thread with the head of the request; the connection stays open until
  // the proxy ends.
  using Behaviour = std::function<void(Socket&, const std::string& request)>;

  explicit FakeProxy(Behaviour behaviour)
      : behaviour_(std::move(behaviour)),
        acceptor_(io_, {boost::asio::ip::address_v4::loopback(), 0}),
        acceptor_thread_([this] { accept(); }) {}
  ~FakeProxy() {
    // Only shutdown() wakes a thread that blocks in accept() or in a read.
    ::shutdown(acceptor_.native_handle(), SHUT_RDWR);
    acceptor_thread_.join();
    for (Socket& socket : sockets_) ::shutdown(socket.native_handle(), SHUT_RDWR);
    for (std::thread& thread : threads_) thread.join();
  }
  FakeProxy(const FakeProxy&) = delete;
  FakeProxy& operator=(const FakeProxy&) = delete;

  std::string url(const std::string& user = {}) const {
    return "http://" + (user.empty() ? user : user + "@") +
           "127.0.0.1:" + std::to_string(acceptor_.local_endpoint().port());
  }
  // The heads of all requests so far.
  std::vector<std::string> requests() const {
    const std::lock_guard lock(mutex_);
    return requests_;
  }

  // Sends `text` and nothing else.
  static Behaviour answers(std::string text) {
    return [text = std::move(text)](Socket& socket, const std::string&) {
      boost::system::error_code ignored;
      boost::asio::write(socket, boost::asio::buffer(text), ignored);
    };
  }
  // The same, and closes the connection.
  static Behaviour closes_after(std::string text) {
    return [answer = answers(std::move(text))](Socket& socket, const std::string& request) {
      answer(socket, request);
      boost::system::error_code ignored;
      socket.shutdown(Socket::shutdown_both, ignored);
    };
  }
  // Tunnels every request to this port of loopback, whatever host it names, like a proxy that
  // resolves the name itself.
  static Behaviour tunnels_to(int port) {
    return [port](Socket& socket, const std::string&) {
      boost::system::error_code error;
      Socket target(socket.get_executor());
      target.connect({boost::asio::ip::address_v4::loopback(), static_cast<uint16_t>(port)}, error);
      if (error) return;
      boost::asio::write(socket, boost::asio::buffer("HTTP/1.1 200 OK\r\n\r\n", 19), error);
      std::thread back([&] { copy(target, socket); });
      copy(socket, target);
      back.join();
    };
  }

 private:
  static void copy(Socket& from, Socket& to) {
    std::array<char, 16384> buffer;
    boost::system::error_code error;
    while (!error) {
      const size_t read = from.read_some(boost::asio::buffer(buffer), error);
      if (!error) boost::asio::write(to, boost::asio::buffer(buffer.data(), read), error);
    }
    ::shutdown(to.native_handle(), SHUT_RDWR);
    ::shutdown(from.native_handle(), SHUT_RDWR);
  }

  void accept() {
    while (true) {
      boost::system::error_code error;
      Socket socket(io_);
      acceptor_.accept(socket, error);
      if (error) return;
      Socket& kept = sockets_.emplace_back(std::move(socket));
      threads_.emplace_back([this, &kept] { serve(kept); });
    }
  }
  void serve(Socket& socket) {
    std::string request;
    boost::system::error_code error;
    boost::asio::read_until(socket, boost::asio::dynamic_buffer(request), "\r\n\r\n", error);
    if (error) return;
    {
      const std::lock_guard lock(mutex_);
      requests_.push_back(request);
    }
    behaviour_(socket, request);
  }

  const Behaviour behaviour_;
  boost::asio::io_context io_;
  boost::asio::ip::tcp::acceptor acceptor_;
  mutable std::mutex mutex_;
  std::vector<std::string> requests_;
  std::list<Socket> sockets_;         // used by the accepting thread until it has ended
  std::vector<std::thread> threads_;  // the same
  std::thread acceptor_thread_;
};

}  // namespace notp
