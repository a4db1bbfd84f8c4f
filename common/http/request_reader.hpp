// Reads one request from the bytes of a connection: Beast's parser under stricter rules, without
// I/O. Refuses input that two readers of HTTP could understand differently (RFC 9112 §11.2).
#pragma once

#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>
#include <expected>

#include "common/http/message.hpp"

namespace notp::http {

struct ReaderLimits {
  size_t header_bytes_max;
  size_t body_bytes_max;
  std::string_view body_bytes_key = {};  // of the configuration; must outlive the reader
};

// Returns 413, with the limit and, unless it is empty, the configuration's key that sets it.
Response body_too_large(std::string_view what, size_t bytes_max, std::string_view key);

// The caller feeds bytes until it is done or refuses; each request needs a new reader. The caller
// sends the refusal's Response and closes the connection.
class RequestReader {
 public:
  explicit RequestReader(const ReaderLimits& limits);

  // Returns the number of used bytes; 0: it needs more, and the same ones again. Header and body
  // may come in one piece; it stops after the header.
  std::expected<size_t, Response> feed(ByteView bytes);

  bool has_header() const { return has_header_; }
  bool is_done() const { return parser_.is_done(); }

  // Valid with has_header().
  bool wants_continue() const { return wants_continue_; }  // Expect: 100-continue
  bool keep_alive() const { return keep_alive_; }
  bool is_head() const { return parser_.get().method() == boost::beast::http::verb::head; }
  unsigned version() const { return parser_.get().version(); }  // 10 or 11
  std::string_view host() const { return host_; }               // of the Host field or the target
  // Length of the body; 0 when it is chunked.
  uint64_t length() const { return parser_.content_length().value_or(0); }
  uint64_t body_bytes() const { return parser_.get().body().size(); }  // so far

  // Call once, with is_done(): returns the request without `peer`.
  Request take();

 private:
  std::optional<Response> check_fields();
  std::optional<Response> read_target();

  const ReaderLimits limits_;
  boost::beast::http::request_parser<boost::beast::http::string_body> parser_;
  bool has_header_ = false;
  bool wants_continue_ = false;
  bool keep_alive_ = false;
  size_t searched_ = 0;  // bytes of the header that do not contain its end
  std::string host_;
  Request request_;  // without the body
};

}  // namespace notp::http
