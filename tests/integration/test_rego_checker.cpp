// Checks models in real worker processes.
#include <doctest/doctest.h>
#include <sys/resource.h>

#include "common/rego/host/process_checker.hpp"
#include "tests/support/agent/rego_engine.hpp"
#include "tests/support/process/child_processes.hpp"
#include "tests/support/process/process.hpp"

namespace notp::rego {
namespace {

// A model of files by path: "*.rego" are policies, others JSON documents at their folder.
class Model {
 public:
  explicit Model(std::map<std::string, std::string> files) {
    request.load = contents_.loader();
    for (auto& [path, text] : files) add(path, text);
  }
  void add(const std::string& path, const std::string& text) {
    const Hash hash = contents_.put(text);
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
  ContentShelf contents_;
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

// Uses up all memory when called.
const std::string kGulp =
    "all := [[a, b] | some a in numbers.range(1, 100000); some b in numbers.range(1, 100000)]\n";

TEST_CASE("a test that takes all memory is a finding with its name, and harms nothing") {
  CheckerOptions patient = options();
  patient.test_ms = 60'000;
  ProcessChecker checker(patient);
  Model model({{"shop/policy.rego", kPolicy},
               {"shop/policy_test.rego", kTests},
               {"shop/limits/data.json", R"({"max": 100})"},
               {"bomb/bomb_test.rego",
                "package bomb_test\n\n" + kGulp + "\ntest_bomb if count(all) > 0\n"}});
  const auto report = checker.check(model.request);
  REQUIRE_MESSAGE(report, report.error().message);
  CHECK_FALSE(report->valid());
  REQUIRE(report->findings.size() == 1);
  CHECK(report->findings[0].path == "bomb/bomb_test.rego");
  CHECK(report->findings[0].row == 5);
  CHECK(report->findings[0].code == "memory_limit_error");
  CHECK(report->findings[0].message.find("data.bomb_test.test_bomb") != std::string::npos);
  CHECK(report->tests.back().name == "test_bomb");
  CHECK(report->tests.back().outcome == TestOutcome::kError);
  Model good({{"shop/policy.rego", kPolicy},
              {"shop/policy_test.rego", kTests},
              {"shop/limits/data.json", R"({"max": 100})"}});
  const auto next = checker.check(good.request);
  REQUIRE(next);
  CHECK_MESSAGE(next->valid(), findings_of(*next));
}

TEST_CASE("of several tests that run at once the one that takes all memory is named") {
  CheckerOptions small = options();
  small.memory_bytes = 96ULL << 20;
  small.test_ms = 60'000;
  ProcessChecker checker(small);
  // The others run as long as the bomb takes.
  std::map<std::string, std::string> files{
      {"bomb/bomb_test.rego", "package bomb_test\n\n" + kGulp + "\ntest_bomb if count(all) > 0\n"}};
  for (const std::string name : {"p", "q", "r"})
    files[name + "/work_test.rego"] =
        "package " + name +
        "_test\n\ntest_work if {\n\tevery a in numbers.range(1, 2000) {\n"
        "\t\tevery b in numbers.range(1, 1000) { a + b > 0 }\n\t}\n}\n";
  Model model(files);
  const auto report = checker.check(model.request);
  REQUIRE_MESSAGE(report, report.error().message);
  REQUIRE(report->findings.size() == 1);
  CHECK(report->findings[0].path == "bomb/bomb_test.rego");
}

TEST_CASE("a test that takes too long fails with its name") {
  CheckerOptions quick = options();
  quick.test_ms = 200;
  ProcessChecker checker(quick);
  Model model({{"late/late_test.rego",
                "package late_test\n\ntest_late if {\n\tsome a in numbers.range(1, 1000000)\n"
                "\tsome b in numbers.range(1, 1000000)\n\ta + b < 0\n}\n"}});
  const auto report = checker.check(model.request);
  REQUIRE_MESSAGE(report, report.error().message);
  CHECK_FALSE(report->valid());
  REQUIRE(report->tests.size() == 1);
  CHECK(report->tests[0].name == "test_late");
  CHECK(report->tests[0].message.find("200 ms") != std::string::npos);
}

TEST_CASE("a test that has to be killed, and ran alone, is run once") {
  CheckerOptions quick = options();
  quick.test_ms = 200;
  ProcessChecker checker(quick);
  const auto spent_ms = [] {
    rusage usage{};
    ::getrusage(RUSAGE_CHILDREN, &usage);
    return (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1'000 +
           (usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1'000;
  };
  // OPA cannot cancel it.
  Model model(
      {{"late/late_test.rego",
        "package late_test\n\ntest_fine if true\n\ntest_late if {\n"
        "\ttext := concat(\"\", [\"aaaaaaaaaaaaaaaa\" | some _ in numbers.range(1, 65536)])\n"
        "\tregex.match(\"(a?){1000}b\", text)\n}\n"}});
  const auto before_ms = spent_ms();
  const auto report = checker.check(model.request);
  REQUIRE_MESSAGE(report, report.error().message);
  REQUIRE(report->findings.size() == 1);
  CHECK(report->findings[0].code == "time_limit_error");
  CHECK(report->findings[0].message.find("data.late_test.test_late") != std::string::npos);
  const int64_t once_ms = quick.test_ms + limits::kModelTestGraceMs;
  CHECK(spent_ms() - before_ms < 2 * once_ms);
}

TEST_CASE("a judge that is killed or hangs is replaced, or says what it was doing") {
  CheckerOptions patient = options();
  patient.test_ms = 2'000;
  patient.still_ms = 1'000;
  const std::string late =
      "package late_test\n\ntest_late if {\n\tsome a in numbers.range(1, 1000000)\n"
      "\tsome b in numbers.range(1, 1000000)\n\ta + b < 0\n}\n";
  for (const int signal : {SIGKILL, SIGSTOP}) {
    ProcessChecker checker(patient);
    Model model({{"late/late_test.rego", late}});
    auto report = std::async(std::launch::async, [&] { return checker.check(model.request); });
    REQUIRE(wait_until([] { return child_processes().size() == 1; }));
    // Starting and compiling takes some 20 ms of processor time: from here on it runs the test.
    const pid_t judge = child_processes()[0];
    REQUIRE(wait_until([&] { return cpu_ms_of(judge) > 500; }));
    ::kill(judge, signal);
    const auto outcome = report.get();
    REQUIRE_MESSAGE(outcome, outcome.error().message);
    CHECK_FALSE(outcome->valid());
    REQUIRE(outcome->tests.size() == 1);
    CHECK(outcome->tests[0].name == "test_late");
  }
}

TEST_CASE("a good model is good on a machine that gives its judge no time") {
  CheckerOptions options = rego::options();
  options.test_ms = 4'000;
  ProcessChecker checker(options);
  // Two at a time, some seconds of work.
  std::map<std::string, std::string> files;
  for (const std::string name : {"p", "q", "r"})
    files[name + "/work_test.rego"] =
        "package " + name +
        "_test\n\ntest_work if {\n\tevery a in numbers.range(1, 500) {\n"
        "\t\tevery b in numbers.range(1, 1000) { a + b > 0 }\n\t}\n}\n";
  Model model(files);
  auto report = std::async(std::launch::async, [&] { return checker.check(model.request); });
  REQUIRE(wait_until([] { return child_processes().size() == 1; }));
  const pid_t judge = child_processes()[0];
  REQUIRE(wait_until([&] { return cpu_ms_of(judge) > 100; }));
  // Longer than any test may take, including the margin of the judge's supervisor.
  const auto until = std::chrono::steady_clock::now() +
                     std::chrono::milliseconds(options.test_ms + limits::kModelTestGraceMs + 500);
  ::kill(judge, SIGSTOP);
  CHECK(report.wait_until(until) == std::future_status::timeout);
  ::kill(judge, SIGCONT);
  const auto outcome = report.get();
  REQUIRE_MESSAGE(outcome, outcome.error().message);
  CHECK_MESSAGE(outcome->valid(), findings_of(*outcome));
  CHECK(outcome->tests.size() == 3);
}

TEST_CASE("a judge that gets no time at all says so, and refuses no model") {
  CheckerOptions options = rego::options();
  options.wall_ms = 1'000;
  ProcessChecker checker(options);
  Model model({{"late/late_test.rego",
                "package late_test\n\ntest_late if {\n\tsome a in numbers.range(1, 1000000)\n"
                "\tsome b in numbers.range(1, 1000000)\n\ta + b < 0\n}\n"}});
  const auto outcome = checker.check(model.request);
  REQUIRE_FALSE(outcome);
  CHECK(outcome.error().code == ErrorCode::kUnavailable);
  CHECK(outcome.error().message.contains("too busy"));
}

TEST_CASE("a process that ended its work judges the next model, and knows its documents") {
  ProcessChecker checker(options());
  std::string large = R"({"max": 100, "names": {)";
  for (int i = 0; i < 60'000; ++i)
    large += (i > 0 ? ", \"" : "\"") + std::to_string(i) + R"(": "name of somebody")";
  Model model({{"shop/policy.rego", kPolicy},
               {"shop/policy_test.rego", kTests},
               {"shop/limits/data.json", large + "}}"}});
  REQUIRE(checker.check(model.request));
  const auto processes = child_processes();
  REQUIRE(processes.size() == 1);
  const Hash before = model.request.documents[0].hash;
  large.replace(large.find("\"max\": 100"), 10, "\"max\": 2000");
  model.request.documents.clear();
  model.add("shop/limits/data.json", large + "}}");
  model.request.before["shop/limits/data.json"] = before;
  const auto report = checker.check(model.request);
  REQUIRE(report);
  // The test that asks for 1000 fails with the new data.
  CHECK_FALSE(report->valid());
  CHECK(findings_of(*report).find("test_high") != std::string::npos);
  CHECK(child_processes() == processes);
}

}  // namespace
}  // namespace notp::rego
