// The coefficients of `notp capacity`: they are those of the runs that are kept beside them, and
// README.md says the same.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <filesystem>

#include "common/json/json.hpp"
#include "tests/support/process/shell.hpp"
#include "tests/support/wire/specification_document.hpp"
#include "tests/support/wire/test_pki.hpp"
#include "tools/notp/capacity/estimate.hpp"
#include "tools/notp/capacity/measured_run.hpp"

namespace notp::cli {
namespace {

using samples::specification::lines_of;
using samples::specification::source_text;

constexpr std::array kRuns = {"fanout", "idle", "reconnect"};
constexpr const char* kFolder = "tools/notp/capacity/";
// Those of the formulas that README.md prints.
constexpr std::array<std::string_view, 4> kPrinted = {"processor", "return_of_all", "memory",
                                                      "sent"};

std::string run_path(std::string_view suite) {
  return fmt::format("{}run_{}.json", kFolder, suite);
}

json::value kept_run(std::string_view suite) {
  return must(parse_json(source_text(run_path(suite))));
}

// As README.md has them in its block.
std::string formulas() {
  std::string out;
  for (const Need& need : registry_needs({}, must(Coefficients::built_in()))) {
    if (std::ranges::find(kPrinted, need.name) == kPrinted.end()) continue;
    for (size_t i = 0; i < need.terms.size(); ++i)
      out += fmt::format("    {:<13} {} {}\n", i == 0 ? need.name : "", i == 0 ? "=" : "+",
                         need.terms[i].formula);
  }
  return out;
}

TEST_CASE("the coefficients of sessions are those of the runs that are kept") {
  const std::string file = source_text(std::string(kFolder) + "coefficients.json");
  Coefficients costs = must(Coefficients::built_in());
  CHECK(costs.text() == file);
  for (const char* suite : kRuns) CHECK(take_run(costs, kept_run(suite)));
  CHECK_MESSAGE(
      costs.text() == file,
      "notp capacity --from run_fanout.json --from run_idle.json --from run_reconnect.json "
      "--print-coefficients prints another file");
}

TEST_CASE("README.md has the formulas and coefficients that notp capacity reckons with") {
  const std::string readme = source_text("README.md");
  CHECK_MESSAGE(readme.contains("\n" + formulas()), formulas());
  size_t rows = 0;
  for (const auto& [name, one] : must(Coefficients::built_in()).all()) {
    if (!formulas().contains(name)) continue;
    const std::string row = fmt::format("| `{}` | {}{}{} | {} |\n", name, one.value,
                                        one.unit.empty() ? "" : " ", one.unit, one.of);
    CHECK_MESSAGE(readme.contains(row), row);
    ++rows;
  }
  CHECK(rows >= 8);
}

TEST_CASE("a run takes the place of figures, and other JSON is refused") {
  Coefficients costs = must(Coefficients::built_in());
  json::value run = kept_run("reconnect");
  run.at("sessions") = 2'000;
  run.at("herd_usage").at("registry_s") = 1.23456;
  REQUIRE(take_run(costs, run));
  CHECK(costs["connect_us"] == 617);
  CHECK(costs.all().at("connect_us").measured.starts_with("notp-bench reconnect --sessions 2000:"));
  CHECK(must(Coefficients::parse(costs.text())).text() == costs.text());

  const auto refusal = [&](const json::value& document) {
    const auto taken = take_run(costs, document);
    REQUIRE_FALSE(taken.has_value());
    CHECK(taken.error().code == ErrorCode::kConfig);
    return taken.error().message;
  };
  run.at("herd_usage").at("registry_s") = 0;
  CHECK(refusal(run).contains("/herd_usage/registry_s"));
  CHECK(refusal(json::object{{"suite", "wire"}}).contains("fanout, idle or reconnect"));
  CHECK(refusal(json::array{}).contains("fanout, idle or reconnect"));
  json::value fanout = kept_run("fanout");
  fanout.at("rows") = json::array{};
  CHECK(refusal(fanout).contains("with Commits"));
  CHECK(costs["connect_us"] == 617);
}

TEST_CASE("notp capacity prints the same, and takes a run from a file") {
  const std::string source = std::getenv("NOTP_SOURCE");
  Shell shell;
  const Ran plain = shell.notp({"capacity", "--explain"});
  REQUIRE(plain.status == 0);
  for (const std::string& line : lines_of(formulas()))
    CHECK_MESSAGE(plain.output.contains(line.substr(line.find_first_of("=+") + 2)), line);
  const std::string file = source_text(std::string(kFolder) + "coefficients.json");
  CHECK(shell.notp({"capacity", "--print-coefficients"}).output == file);
  const Ran fed =
      shell.notp({"capacity", "--from", source + "/" + run_path("idle"), "--print-coefficients"});
  CHECK(fed.output == file);
  const Ran wrong = shell.notp({"capacity", "--from", source + "/CMakePresets.json", "-o", "json"});
  CHECK(wrong.status != 0);
  CHECK(error_code(wrong) == "config");
  CHECK(wrong.error.contains("fanout, idle or reconnect"));
}

}  // namespace
}  // namespace notp::cli
