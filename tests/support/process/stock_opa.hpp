// An unmodified OPA with the shop's model, to compare an agent with.
#pragma once

#include <doctest/doctest.h>

#include <regex>

#include "tests/support/process/curl.hpp"
#include "tests/support/process/shop_model.hpp"

namespace notp {

// Runs OPA with the model, without an agent. Decisions have an id where OPA logs them.
class StockOpa {
 public:
  StockOpa(const Stack& stack, const std::filesystem::path& model) : port_(free_port()) {
    const char* program = std::getenv("NOTP_OPA");
    if (program == nullptr) FAIL("NOTP_OPA is not set: run tools/test");
    process_ = std::make_unique<Process>(
        ProcessOptions{.command = {program, "run", "--server", "--addr",
                                   fmt::format("127.0.0.1:{}", port_), "--log-level", "error",
                                   "--skip-version-check", "--set", "decision_logs.console=true",
                                   fmt::format("shop:{}", (model / "shop").string())},
                       .folder = stack.folder(),
                       .environment = {},
                       .output_file = stack.file("stock-opa.log"),
                       .error_file = stack.file("stock-opa.log")});
    REQUIRE(wait_until([&] { return curl({url() + "/health"}).status == 200; }));
  }
  std::string url() const { return fmt::format("http://127.0.0.1:{}", port_); }

 private:
  const int port_;
  std::unique_ptr<Process> process_;
};

// Removes what may differ: the id of a decision, and the path of a policy's file.
inline std::string comparable(const std::string& body) {
  static const std::regex kId(
      "[0-9a-f]{8}-[0-9a-f]{4}-[48][0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}");
  static const std::regex kFile("(100000000000/shop|/[^ \"]*/shop-model)/shop/policy.rego");
  return std::regex_replace(std::regex_replace(body, kId, "ID"), kFile, "FILE");
}

// A request by curl: the part after the server's address, and further arguments.
using CurlRequest = std::vector<std::string>;

inline CurlAnswer ask_by_curl(const CurlRequest& request, const std::string& url) {
  std::vector<std::string> arguments(request.begin() + 1, request.end());
  arguments.push_back(url + request.front());
  return curl(std::move(arguments));
}

// Requires the same outcome; for a refusal the code must match, the message only if the document
// differs.
inline void check_same_answer(const CurlRequest& request, const CurlAnswer& ours,
                              const CurlAnswer& theirs) {
  const std::string what = request.front() + " " + request.back();
  CHECK_MESSAGE(ours.status == theirs.status, what << ": " << ours.body << theirs.body);
  if (theirs.status == 200 || theirs.document() != ours.document())
    CHECK_MESSAGE(comparable(ours.body) == comparable(theirs.body), what);
}

}  // namespace notp
