// Requests and responses of the loopback HTTP/1.1 server and client (RFC 9110, RFC 9112).
#pragma once

#include <boost/asio/awaitable.hpp>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "common/bytes.hpp"

namespace notp::http {

using Headers = std::vector<std::pair<std::string, std::string>>;

// The first value under a name, whatever its case; empty when there is none.
std::string_view find_header(const Headers& headers, std::string_view name);

struct Request {
  std::string method;  // as received: "GET"
  std::string path;    // percent-decoded, begins with '/'
  std::string query;   // as received, without '?'
  Headers headers;
  Bytes body;
  // Completes when the client goes away. For handlers that hold a request open: everything else
  // finds out when it writes. Await it on the executor that the handler was called on.
  std::function<boost::asio::awaitable<void>()> until_closed;

  std::string_view header(std::string_view name) const { return find_header(headers, name); }
  // The decoded value of the first parameter of that name; "" for one without a value.
  std::optional<std::string> parameter(std::string_view name) const;
};

struct Response {
  unsigned status = 200;
  std::string content_type = "application/json";
  Headers headers;
  Bytes body;
  std::shared_ptr<const Bytes>
      shared_body;  // in place of `body`: large content sent without a copy

  ByteView content() const { return shared_body ? ByteView(*shared_body) : ByteView(body); }
};

// {"code": …, "message": …}, the error form of OPA's REST API.
Response error_response(unsigned status, std::string_view code, std::string_view message);
Response text_response(unsigned status, std::string_view text);

// RFC 3986 §2.1. `plus_is_space` as in form data (query parameters). nullopt on a broken escape or
// a NUL.
std::optional<std::string> percent_decode(std::string_view text, bool plus_is_space = false);

}  // namespace notp::http
