// A collector of traces: takes OTLP/HTTP in JSON, and keeps what it was sent.
#pragma once

#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "common/json/json.hpp"
#include "common/mutex.hpp"
#include "tests/support/wire/http_host.hpp"

namespace notp {

struct CollectedSpan {
  std::string service;
  int64_t pid = 0;
  std::string trace, span, parent, name;  // ids as they were sent; parent empty: none
  int64_t kind = 0, start_ns = 0, end_ns = 0;
  std::map<std::string, std::string> attributes;  // all as text
  std::string error;                              // empty: none

  std::string kind_text() const { return service + ": " + name; }
};

inline std::string attribute_text(const json::value& value) {
  const json::object& object = value.as_object();
  REQUIRE(object.size() == 1);
  const json::value& content = object.begin()->value();
  return content.is_string() ? std::string(content.as_string()) : json::serialize(content);
}

inline std::map<std::string, std::string> attributes_of(const json::object& object) {
  std::map<std::string, std::string> out;
  if (const json::value* list = object.if_contains("attributes"))
    for (const json::value& one : list->as_array())
      out[std::string(one.at("key").as_string())] = attribute_text(one.at("value"));
  return out;
}

// The spans of a request's body; throws when it is not as OTLP has it.
inline std::vector<CollectedSpan> spans_of(std::string_view body) {
  const auto number = [](const json::value& value) {  // 64-bit numbers are text
    return static_cast<int64_t>(std::stoll(std::string(value.as_string())));
  };
  std::vector<CollectedSpan> out;
  const auto document = parse_json(body);
  REQUIRE_MESSAGE(document, document.error().message);
  for (const json::value& resource : document->at("resourceSpans").as_array()) {
    const auto of_process = attributes_of(resource.at("resource").as_object());
    for (const json::value& scope : resource.at("scopeSpans").as_array())
      for (const json::value& span : scope.at("spans").as_array()) {
        const json::object& object = span.as_object();
        CollectedSpan one{.service = of_process.at("service.name"),
                          .pid = of_process.contains("process.pid")
                                     ? std::stoll(of_process.at("process.pid"))
                                     : 0,
                          .trace = std::string(span.at("traceId").as_string()),
                          .span = std::string(span.at("spanId").as_string()),
                          .parent = {},
                          .name = std::string(span.at("name").as_string()),
                          .kind = span.at("kind").as_int64(),
                          .start_ns = number(span.at("startTimeUnixNano")),
                          .end_ns = number(span.at("endTimeUnixNano")),
                          .attributes = attributes_of(object),
                          .error = {}};
        if (const json::value* parent = object.if_contains("parentSpanId"))
          one.parent = std::string(parent->as_string());
        if (const json::value* status = object.if_contains("status"))
          if (const json::value* message = status->as_object().if_contains("message"))
            one.error = std::string(message->as_string());
        out.push_back(std::move(one));
      }
  }
  return out;
}

class OtlpCollector {
 public:
  // How it answers a request, by the number of requests before; empty: 200 and "{}".
  using Answer = std::function<boost::asio::awaitable<http::Response>(size_t)>;

  explicit OtlpCollector(Answer answer = {}) : answer_(std::move(answer)) {}

  std::string url() const { return fmt::format("http://127.0.0.1:{}", host_.server->port()); }
  size_t requests() const {
    const MutexLock lock(mutex_);
    return requests_.size();
  }
  std::vector<http::Request> received() const {
    const MutexLock lock(mutex_);
    return requests_;
  }
  std::vector<CollectedSpan> spans() const {
    std::vector<CollectedSpan> out;
    for (const http::Request& request : received())
      std::ranges::move(spans_of(request.body), std::back_inserter(out));
    return out;
  }

 private:
  boost::asio::awaitable<http::Response> take(const http::Request& request) {
    size_t before = 0;
    {
      const MutexLock lock(mutex_);
      before = requests_.size();
      requests_.push_back(request);
    }
    if (answer_) co_return co_await answer_(before);
    http::Response response;
    response.body = "{}";
    co_return response;
  }

  const Answer answer_;
  mutable Mutex mutex_;
  std::vector<http::Request> requests_ NOTP_GUARDED_BY(mutex_);
  HttpHost host_{[this](const http::Request& request) { return take(request); },
                 {.body_bytes_max = 8 << 20}};
};

}  // namespace notp
