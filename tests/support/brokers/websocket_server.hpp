// A WebSocket server (Boost.Beast) that sends what a test tells it.
#pragma once

#include <atomic>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>
#include <boost/beast/websocket.hpp>
#include <deque>
#include <memory>
#include <string>
#include <thread>
#include <vector>

namespace notp {

// On loopback. Each client gets every message after its connect.
class WebsocketServer {
 public:
  explicit WebsocketServer(std::string authorization = {})
      : authorization_(std::move(authorization)),
        acceptor_(context_, {boost::asio::ip::address_v4::loopback(), 0}) {
    accept();
    thread_ = std::thread([this] { context_.run(); });
  }
  ~WebsocketServer() {
    context_.stop();
    thread_.join();
  }
  WebsocketServer(const WebsocketServer&) = delete;
  WebsocketServer& operator=(const WebsocketServer&) = delete;

  int port() const { return acceptor_.local_endpoint().port(); }
  int clients() const { return clients_; }
  int refused() const { return refused_; }
  void send(const std::string& text, bool is_text = true) {
    boost::asio::post(context_, [this, text, is_text] {
      for (const auto& client : open_) client->send(text, is_text);
    });
  }
  // Cuts every connection without a word, and refuses new ones until restore().
  void restore() { is_away_ = false; }
  void cut() {
    is_away_ = true;
    boost::asio::post(context_, [this] {
      for (const auto& client : open_) client->socket.next_layer().close();
      open_.clear();
      clients_ = 0;
    });
  }

 private:
  using Tcp = boost::asio::ip::tcp;
  using Error = boost::system::error_code;

  struct Client : std::enable_shared_from_this<Client> {
    explicit Client(Tcp::socket connected) : socket(std::move(connected)) {}

    void send(std::string text, bool is_text) {
      queue.emplace_back(std::move(text), is_text);
      if (queue.size() == 1) write();
    }
    void write() {
      socket.text(queue.front().second);
      socket.async_write(boost::asio::buffer(queue.front().first),
                         [self = shared_from_this()](Error error, size_t) {
                           self->queue.pop_front();
                           if (!error && !self->queue.empty()) self->write();
                         });
    }
    // Control frames are answered while something is read.
    void read() {
      socket.async_read(buffer, [self = shared_from_this()](Error error, size_t) {
        self->buffer.clear();
        if (!error) self->read();
      });
    }

    boost::beast::websocket::stream<Tcp::socket> socket;
    boost::beast::flat_buffer buffer;
    boost::beast::http::request<boost::beast::http::string_body> request;
    std::deque<std::pair<std::string, bool>> queue;
  };

  void accept() {
    acceptor_.async_accept([this](Error error, Tcp::socket connected) {
      if (error) return;
      auto client = std::make_shared<Client>(std::move(connected));
      boost::beast::http::async_read(client->socket.next_layer(), client->buffer, client->request,
                                     [this, client](Error failed, size_t) {
                                       if (!failed) upgrade(client);
                                     });
      accept();
    });
  }
  void upgrade(const std::shared_ptr<Client>& client) {
    if (is_away_) return;  // its socket closes with the last reference
    if (client->request["Authorization"] != authorization_) {
      ++refused_;
      boost::beast::http::response<boost::beast::http::empty_body> response(
          boost::beast::http::status::unauthorized, 11);
      boost::beast::http::write(client->socket.next_layer(), response);
      return;
    }
    client->socket.async_accept(client->request, [this, client](Error error) {
      if (error) return;
      open_.push_back(client);
      ++clients_;
      client->read();
    });
  }

  const std::string authorization_;
  boost::asio::io_context context_{1};
  Tcp::acceptor acceptor_;
  std::vector<std::shared_ptr<Client>> open_;
  std::atomic<int> clients_ = 0, refused_ = 0;
  std::atomic<bool> is_away_ = false;
  std::thread thread_;
};

}  // namespace notp
