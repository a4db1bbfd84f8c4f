// The catalogue of log events against its schema, and lines against the catalogue.
#include <doctest/doctest.h>

#include <cstdlib>
#include <fstream>

#include "common/json/json_schema.hpp"
#include "tests/support/process/log_catalogue.hpp"
#include "tests/support/process/process.hpp"
#include "tests/support/temporary_folder.hpp"

namespace notp {
namespace {

std::filesystem::path schemas() {
  const char* sources = std::getenv("NOTP_SOURCE");
  REQUIRE(sources != nullptr);
  return std::filesystem::path(sources) / "schemas";
}

std::string fault(std::string_view line, std::string_view program = "notp-server") {
  const auto parsed = parse_json(line);
  REQUIRE(parsed.has_value());
  return LogCatalogue::of_sources().fault(parsed->as_object(), program).value_or("");
}

TEST_CASE("log events: the catalogue follows its schema") {
  const std::string schema = read_text(schemas() / "log-events.schema.json");
  const std::string catalogue = read_text(schemas() / "log-events.json");
  const auto valid = validate_json_schema(schema, catalogue);
  CHECK_MESSAGE(valid.has_value(), (valid ? "" : valid.error().message));
  const std::string loud = R"({"fields": {}, "error_context": [],
      "events": {"loud": {"levels": ["shout"], "programs": [], "fields": [], "means": ""}}})";
  CHECK_FALSE(validate_json_schema(schema, loud).has_value());
}

TEST_CASE("log events: a line that the catalogue does not know is found") {
  CHECK(fault(R"({"time": "t", "level": "info", "event": "stopping", "signal": 15})") == "");
  CHECK(fault(R"({"time": "t", "level": "info", "event": "stoppping", "signal": 15})") ==
        "the event 'stoppping' is not in the catalogue");
  CHECK(fault(R"({"time": "t", "level": "warn", "event": "stopping", "signal": 15})") ==
        "'stopping' has not the level warn");
  CHECK(fault(R"({"time": "t", "level": "info", "event": "root", "root_version": 2})") ==
        "'root' is no event of notp-server");
  CHECK(fault(R"({"time": "t", "level": "info", "event": "stopping", "number": 15})") ==
        "'stopping' has no field 'number'");
  CHECK(fault(R"({"time": "t", "level": "info", "event": "stopping", "signal": "15"})") ==
        "'stopping' has a field 'signal' that is no integer");
}

TEST_CASE("log events: an error brings its code, its message and its context, and nothing else") {
  const std::string begin =
      R"({"time": "t", "level": "error", "event": "tokens_not_reloaded", "code": "config", )"
      R"("message": "m", )";
  CHECK(fault(begin + R"("line": "3", "column": "1"})", "notp-client") == "");
  CHECK(fault(begin + R"("peer": "3"})", "notp-client") ==
        "'tokens_not_reloaded' has no field 'peer'");
  CHECK(fault(R"({"time": "t", "level": "info", "event": "stopped", "code": "config"})") ==
        "'stopped' has no field 'code'");
}

TEST_CASE("log events: only the faulty lines of a log are told") {
  const TemporaryFolder folder;
  const auto log = folder.path() / "some.log";
  std::ofstream(log) << "a worker's words\n"
                     << R"({"time": "t", "level": "info", "event": "stopped"})" << "\n"
                     << R"({"time": "t", "level": "info", "event": "unheard_of"})" << "\n"
                     << R"({"time": "t", "level": "in)";
  const auto faults = LogCatalogue::of_sources().faults(log, "notp-server");
  REQUIRE(faults.size() == 1);
  CHECK(faults[0].find("unheard_of") != std::string::npos);
}

}  // namespace
}  // namespace notp
