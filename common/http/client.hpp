// One HTTP/1.1 request to a program on this machine, under a deadline.
#pragma once

#include <boost/asio/awaitable.hpp>

#include "common/http/message.hpp"
#include "common/limits.hpp"

namespace notp::http {

struct Call {
  std::string method = "GET";
  std::string url;  // "http://host:port/path?query"; host is an IP address or "localhost"
  Headers headers;
  Bytes body;
  int64_t deadline_ms = 5'000;  // for the whole call
  size_t answer_bytes_max = limits::kHttpBodyBytesMax;
};

// One connection for the call. kUsage: not such a URL; kUnavailable: nobody answers or the
// connection breaks; kTimeout; kLimit: the answer is larger than allowed; kMessage: not HTTP. Any
// status is a success.
boost::asio::awaitable<Result<Response>> call(Call call);

// The same on the calling thread, which it blocks.
Result<Response> call_blocking(Call call);

}  // namespace notp::http
