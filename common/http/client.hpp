// An HTTP/1.1 client: each call has a separate connection, plain or over TLS, directly or through a
// proxy, with one deadline and with limits on the response.
#pragma once

#include <boost/asio/awaitable.hpp>

#include "common/http/client_tls.hpp"
#include "common/http/message.hpp"
#include "common/http/proxy.hpp"
#include "common/http/url.hpp"
#include "common/limits.hpp"

namespace notp::http {

struct Call {
  std::string method = "GET";
  std::string url;  // see Url; "localhost" is 127.0.0.1
  Headers headers;  // Host, Content-Length, Connection and User-Agent are set by the client
  Bytes body;
  int64_t deadline_ms = 5'000;  // for the whole call, from the proxy to the last byte
  size_t head_bytes_max = limits::kHttpHeaderBytesMax;  // of the response
  size_t answer_bytes_max = limits::kHttpBodyBytesMax;  // of its body
};

struct ClientOptions {
  ClientTlsFiles tls;
  // Used for every URL, "none" for none; http:// also goes through a tunnel. When it is not set,
  // HTTPS_PROXY and NO_PROXY of `environment` apply to https://: see choose_proxy().
  ProxyConfig proxy;
  Environment environment;
};

// Thread-safe.
class Client {
 public:
  // Calls only http://, directly; https:// is kUsage.
  Client() = default;
  // Reads the files; other files need another client. kConfig.
  static Result<Client> open(ClientOptions options);

  // Calls on the caller's executor, which runs one handler at a time. Any status is a success:
  // redirects are not followed, and content codings are not requested. The client must outlive the
  // call. kUsage: an invalid URL, or a header that cannot be sent; kTimeout; kLimit: the response
  // is larger than allowed; kMessage: not HTTP; kUnavailable: no connection, or it breaks before
  // the response is complete, even if only TLS can detect that; for TLS the codes of
  // ClientTls::reason(); for a proxy those of dial().
  boost::asio::awaitable<Result<Response>> call(Call call) const;
  // The same on the calling thread, which it blocks.
  Result<Response> call_blocking(Call call) const;

 private:
  Client(ClientTlsPtr tls, ClientOptions options)
      : tls_(std::move(tls)), options_(std::move(options)) {}

  Result<ProxyRoute> route_to(const Url& url) const;

  ClientTlsPtr tls_;  // null: only http://
  ClientOptions options_;
};

// Calls a URL with http:// only.
inline Result<Response> call_blocking(Call call) { return Client().call_blocking(std::move(call)); }

}  // namespace notp::http
