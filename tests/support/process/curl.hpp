// Requests by curl, as an external client: over TCP, a Unix socket or TLS.
#pragma once

#include <fmt/format.h>

#include <filesystem>

#include "common/json/json.hpp"
#include "tests/support/process/command.hpp"
#include "tests/support/process/process.hpp"
#include "tests/support/temporary_folder.hpp"

namespace notp {

struct CurlAnswer {
  unsigned status = 0;  // 0: no answer
  std::string headers, body;
  std::string error;  // curl's error message

  json::value document() const {
    auto parsed = parse_json(body);
    return parsed ? *std::move(parsed) : json::value();
  }
  std::string code() const {
    const json::value value = document();
    const json::object* object = value.if_object();
    const json::value* code = object ? object->if_contains("code") : nullptr;
    return code && code->is_string() ? std::string(code->get_string()) : std::string();
  }
};

inline CurlAnswer curl(std::vector<std::string> arguments) {
  const TemporaryFolder folder;
  const auto body = folder.path() / "body", headers = folder.path() / "headers";
  const std::vector<std::string> fixed = {
      "curl",        "-sS", "--noproxy",      "*",           "--max-time",  "60", "-o",
      body.string(), "-D",  headers.string(), "--write-out", "%{http_code}"};
  arguments.insert(arguments.begin(), fixed.begin(), fixed.end());
  CommandResult ran = run_command(arguments);
  CurlAnswer answer{.headers = read_text(headers), .body = read_text(body)};
  const std::string code = ran.output.size() < 3 ? "" : ran.output.substr(ran.output.size() - 3);
  answer.status = static_cast<unsigned>(std::strtoul(code.c_str(), nullptr, 10));
  if (ran.status != 0) answer.error = ran.output;
  return answer;
}

}  // namespace notp
