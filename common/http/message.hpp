// Requests and responses of the HTTP/1.1 server and client (RFC 9110, RFC 9112).
#pragma once

#include <sys/types.h>

#include <boost/asio/awaitable.hpp>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "common/bytes.hpp"
#include "common/clock.hpp"

namespace notp::http {

using Headers = std::vector<std::pair<std::string, std::string>>;

// Returns the first value under a name, ignoring case; empty when there is none.
std::string_view find_header(const Headers& headers, std::string_view name);

// The certificate that a client showed, verified for each request.
struct PeerCertificate {
  std::vector<std::string> uris;               // subject alternative names, unchanged, NUL included
  TimeMs not_before_ms = 0, not_after_ms = 0;  // wall time, of the leaf
  std::string serial;                          // hexadecimal, upper case
  Bytes public_key;                            // of the leaf: SubjectPublicKeyInfo, DER
  // Empty: it chains to the client authorities, is one for clients, and every certificate of the
  // chain is within its validity. Else "certificate_expired" (also: not valid yet),
  // "certificate_untrusted" or "certificate_invalid" (malformed, a CA's, or not for clients), and a
  // sentence for a person. An identity with an error is only a claim, for logs.
  std::string error_code, error;

  bool good() const { return error_code.empty(); }
};

// The credentials of a Unix socket's other end (SO_PEERCRED), from the time when it connected.
struct UnixCredentials {
  pid_t pid = 0;
  uid_t uid = 0;
  gid_t gid = 0;
};

enum class Transport : uint8_t { kTcp, kUnix, kTls };

struct Peer {
  Transport transport = Transport::kTcp;
  std::string address;      // "192.0.2.1", "2001:db8::1"; "unix" for a Unix socket
  uint16_t port = 0;        // 0 for a Unix socket
  bool loopback = false;    // of this machine: a loopback address or a Unix socket
  uint64_t connection = 0;  // unique in this process
  std::optional<PeerCertificate> certificate;
  std::optional<UnixCredentials> unix_peer;
};

struct Request {
  std::string method;    // as received: "GET"
  std::string path;      // percent-decoded, begins with '/'
  std::string raw_path;  // as received, without the query: a segment may hold "%2F"
  std::string query;     // as received, without '?'
  Headers headers;       // without Content-Encoding when the server has unpacked the body
  Bytes body;            // whole; unpacked
  Peer peer;

  std::string_view header(std::string_view name) const { return find_header(headers, name); }
  // Returns the decoded value of the first parameter of that name; "" for one without a value.
  std::optional<std::string> parameter(std::string_view name) const;
  // Returns every decoded value under that name, in order.
  std::vector<std::string> parameters(std::string_view name) const;
  // Returns the decoded segments of the path after `prefix` ("/v1/data"), without empty ones; "%2F"
  // is part of its segment. `prefix` must be one that the router has matched.
  std::vector<std::string> segments_below(std::string_view prefix) const;
};

struct Response {
  unsigned status = 200;
  std::string content_type = "application/json";
  Headers headers;
  Bytes body;
  std::shared_ptr<const Bytes>
      shared_body;  // in place of `body`: large content sent without a copy
  // Set for compressible types: the server packs large bodies for clients that accept gzip.
  bool may_compress = false;

  ByteView content() const { return shared_body ? ByteView(*shared_body) : ByteView(body); }
};

// Returns {"code": …, "message": …}, the error form of OPA's REST API.
Response error_response(unsigned status, std::string_view code, std::string_view message);
Response text_response(unsigned status, std::string_view text);

// Runs on the executor of the server, each connection on a separate strand: with a context of
// several threads it is called from all of them. The request lives until the coroutine ends. An
// exception becomes a 500.
//
// When the client disconnects, and when the server closes, Asio cancels the coroutine (terminal and
// total): its awaited operations end early, and its answer is dropped. By Asio's defaults the next
// co_await of a cancelled coroutine throws; a coroutine that must not end there begins with
// reset_cancellation_state() and throw_if_cancelled(false).
using Handler = std::function<boost::asio::awaitable<Response>(const Request&)>;

// RFC 3986 §2.1. `plus_is_space` as in form data (query parameters). nullopt for a broken escape or
// a NUL.
std::optional<std::string> percent_decode(std::string_view text, bool plus_is_space = false);

}  // namespace notp::http
