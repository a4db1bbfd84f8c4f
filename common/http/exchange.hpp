// One request and its response on a stream of the client.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>
#include <memory>
#include <optional>

#include "common/http/client.hpp"
#include "common/http/client_tls.hpp"
#include "common/http/stream.hpp"

namespace notp::http {

// RFC 9110 §5.6.2: a method, or the name of a header.
bool is_token(std::string_view text);

// Returns the request's head as it goes over the wire. kUsage: the method or a header cannot be
// sent.
Result<Bytes> request_head(const Call& call, const Url& url);

// Belongs to the strand of its stream. Waits end when the stream is closed from outside.
class Exchange {
 public:
  // Both references outlive it.
  Exchange(Stream& stream, const Call& call) : stream_(stream), call_(call) {}

  // Runs the TLS handshake with a server that has a certificate for `host`.
  boost::asio::awaitable<Result<void>> shake_hands(const ClientTls& tls, std::string host);
  // Returns the errors of Client::call() except kTimeout.
  boost::asio::awaitable<Result<Response>> run(Bytes head);

 private:
  using Parser = boost::beast::http::response_parser<boost::beast::http::string_body>;

  boost::asio::awaitable<Result<void>> send(ByteView head);
  boost::asio::awaitable<Result<Response>> receive();
  // Reads one response, which may be an interim one.
  boost::asio::awaitable<Result<void>> read_message();
  // Parses the received bytes; returns whether more are needed.
  Result<bool> parse_input();
  Result<void> parse_end();
  boost::asio::awaitable<Result<void>> read_more();
  void start_message();
  std::unexpected<Error> failed() const;
  // False when the wait, and with it the exchange, was ended from outside.
  boost::asio::awaitable<bool> wait(Stream::Step step);
  static std::unexpected<Error> ended();

  Stream& stream_;
  const Call& call_;
  std::string tls_host_;    // empty: plain
  Bytes input_;             // received, not yet parsed
  bool at_end_ = false;     // the server sends no more
  bool has_ended_ = false;  // see wait()
  std::optional<Parser> parser_;
};

}  // namespace notp::http
