// Queries the health of a stack's registry; registry_more["health_listen"] is required.
#pragma once

#include <fmt/format.h>

#include "common/http/client.hpp"
#include "tests/support/process/stack.hpp"
#include "tests/support/wire/test_pki.hpp"

namespace notp {

// Gets "/health", "/health/ready" or "/health/live" of the registry that started last.
inline http::Response ask_health(const Stack& stack, const std::string& path = "/health") {
  int64_t port = 0;
  for (const json::value& line : stack.registry_log())
    if (text_at(line, "event") == "health_serving") port = number_at(line, "port");
  return must(http::call_blocking({.method = "GET",
                                   .url = fmt::format("http://127.0.0.1:{}{}", port, path),
                                   .headers = {},
                                   .body = {},
                                   .deadline_ms = 20'000}));
}

}  // namespace notp
