// Judging models in real worker processes.
#include <doctest/doctest.h>

#include "common/rego/host/process_checker.hpp"
#include "tests/support/rego_engine.hpp"

namespace notp::rego {
namespace {

// A model of files by path: "*.rego" are policies, others JSON documents at their folder.
class Model {
 public:
  explicit Model(std::map<std::string, std::string> files) {
    request.load = shelf_.loader();
    for (auto& [path, text] : files) add(path, text);
  }
  void add(const std::string& path, const std::string& text) {
    const Hash hash = shelf_.put(text);
    if (path.ends_with(".rego")) {
      request.modules.push_back({path, hash, text.size(), 1});
      return;
    }
    std::vector<std::string> mount;
    for (size_t at = 0, slash; (slash = path.find('/', at)) != std::string::npos; at = slash + 1)
      mount.push_back(path.substr(at, slash - at));
    request.documents.push_back({path, mount, hash, text.size(), DocumentFormat::kJson});
  }
  CheckRequest request;
  ContentShelf shelf_;
};

CheckerOptions options() {
  CheckerOptions options;
  options.worker = worker_program();
  return options;
}

std::string findings_of(const CheckReport& report) {
  std::string text;
  for (const auto& each : report.findings) text += to_string(each) + "\n";
  for (const auto& each : report.tests)
    if (each.outcome != TestOutcome::kPass)
      text += "TEST " + each.package + " " + each.name + ": " + each.message + "\n";
  return text;
}

const std::string kPolicy = "package shop\n\nallow if input.amount <= data.shop.limits.max\n";
const std::string kTests =
    "package shop_test\n\ntest_low if data.shop.allow with input as {\"amount\": 1}\n\n"
    "test_high if not data.shop.allow with input as {\"amount\": 1000}\n";

TEST_CASE("a model that is good is said to be so, and not judged again") {
  ProcessChecker checker(options());
  Model model({{"shop/policy.rego", kPolicy},
               {"shop/policy_test.rego", kTests},
               {"shop/limits/data.json", R"({"max": 100})"}});
  const auto first = checker.check(model.request);
  REQUIRE_MESSAGE(first, first.error().message);
  CHECK_MESSAGE(first->valid(), findings_of(*first));
  CHECK(first->tests.size() + first->tests_known == 2);
  CHECK(first->packages.at("shop/policy.rego") == std::vector<std::string>{"shop"});
  const auto again = checker.check(model.request);
  REQUIRE(again);
  CHECK(again->valid());
  CHECK(again->tests_known == 2);
}

TEST_CASE("what is wrong is found with its place") {
  ProcessChecker checker(options());
  Model broken({{"shop/policy.rego", "package shop\n\nallow if nothing(1)\n"}});
  const auto report = checker.check(broken.request);
  REQUIRE_MESSAGE(report, report.error().message);
  REQUIRE(report->findings.size() == 1);
  CHECK(report->findings[0].path == "shop/policy.rego");
  CHECK(report->findings[0].row == 3);
  CHECK(report->findings[0].code == "rego_type_error");
  CHECK_FALSE(report->valid());
}

TEST_CASE("content that cannot be loaded is an error, not a finding") {
  ProcessChecker checker(options());
  Model model({{"shop/policy.rego", kPolicy}});
  model.request.modules[0].hash = sha256("something else");
  const auto report = checker.check(model.request);
  REQUIRE_FALSE(report);
  CHECK(report.error().code == ErrorCode::kNotFound);
}

TEST_CASE("functions of policies that are gone are made undefined") {
  ProcessChecker checker(options());
  Model model({{"shop/policy.rego", "package shop\n\nallow if data.lib.good(input)\n"},
               {"lib/lib.rego", "package lib\n\ngood(x) if x.ok\n"}});
  const auto& modules = model.request.modules;
  const bool first_is_lib = modules[0].path == "lib/lib.rego";
  const auto stubs = checker.undefined_functions(
      {modules[first_is_lib ? 1 : 0]}, {modules[first_is_lib ? 0 : 1]}, model.request.load);
  REQUIRE_MESSAGE(stubs, stubs.error().message);
  REQUIRE(stubs->size() == 1);
  CHECK(stubs->front().find("package lib") != std::string::npos);
}

TEST_CASE("a program that is no worker is unavailable") {
  CheckerOptions wrong = options();
  wrong.worker = "/bin/true";
  Model model({{"shop/policy.rego", kPolicy}});
  const auto report = ProcessChecker(wrong).check(model.request);
  REQUIRE_FALSE(report);
  CHECK(report.error().code == ErrorCode::kUnavailable);
  wrong = options();
  wrong.opa_version = "0.0.1";
  const auto other = ProcessChecker(wrong).check(model.request);
  REQUIRE_FALSE(other);
  CHECK(other.error().code == ErrorCode::kUnavailable);
  CHECK(other.error().message.find("0.0.1") != std::string::npos);
}

}  // namespace
}  // namespace notp::rego
