// protocol/UPGRADING.md: its numbers of formats are those of the code, every format of the code has
// its row, and of each older format that is still read a store is kept.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <filesystem>
#include <map>
#include <regex>
#include <string>
#include <vector>

#include "tests/support/wire/specification_document.hpp"

namespace notp {
namespace {

using namespace samples::specification;
namespace fs = std::filesystem;

constexpr std::string_view kPage = "protocol/UPGRADING.md";

// A row of the page, the constant that it is about, and the name of kept stores, if any.
struct Format {
  std::string row;  // the beginning of its first cell
  std::string file, constant;
  std::string kept = {};
};

const Format kFormats[] = {
    {"[protocol](README.md)", "protocol/wire/messages/hello.hpp", "kProtocolVersion"},
    {"container of artifacts", "protocol/delta/section.hpp", "kFormatVersion"},
    {"agent.db", "notp-client/store/store_tables.cpp", "kSchemaVersion", "agent_db"},
    {"lane.db", "notp-client/lane/store/lane_rows.cpp", "kFormat"},
    {"lanes/<name>.db", "notp-server/lane/sqlite_event_store.cpp", "kFormat"},
    {"fleet.db", "notp-server/fleet/fleet.cpp", "kSchemaVersion", "fleet_db"},
    {"join-tokens.db", "notp-server/enroll/join_tokens.cpp", "kSchemaVersion", "join_tokens_db"},
    {"[`spool.db`]", "notp-client/spool/segment_table.cpp", "kSchemaVersion"},
    {"keys/keys.json", "notp-client/txn/keys/ring_state.cpp", "kFormat"},
    {"txn_grants.db", "notp-client/txn/grants/grant_rows.cpp", "kFormat", "txn_grants_db"},
    {"decisions.ring", "notp-client/spool/ring_file.cpp", "kFormat"},
    {"audit/logs.db", "notp-server/audit/log_table.cpp", "kFormat"},
    {"audit/<day>.db", "notp-server/audit/day_rows.hpp", "kFormat"},
    {"audit/tree.db", "notp-server/audit_tree/tree_database.cpp", "kFormat"},
    {"[backup]", "notp-server/backup/manifest.hpp", "kFormat"},
    {"notp-pdp", "common/rego/host/frames.hpp", "kWorkerProtocol"}};

const std::regex kConstant(
    R"(constexpr \w+ (kSchemaVersion|kFormat|kFormatVersion|kProtocolVersion|kWorkerProtocol) = (\d+);)");

// By file and name, all in the programs' sources.
std::map<std::pair<std::string, std::string>, int> constants() {
  std::map<std::pair<std::string, std::string>, int> out;
  const fs::path source = std::getenv("NOTP_SOURCE");
  for (const char* folder : {"common", "notp-client", "notp-server", "protocol", "tools/notp"})
    for (const auto& entry : fs::recursive_directory_iterator(source / folder)) {
      const std::string kind = entry.path().extension().string();
      if (kind != ".hpp" && kind != ".cpp") continue;
      const std::string file = fs::relative(entry.path(), source).generic_string();
      const std::string text = source_text(file);
      for (std::sregex_iterator at(text.begin(), text.end(), kConstant), end; at != end; ++at)
        out[{file, (*at)[1]}] = std::stoi((*at)[2]);
    }
  return out;
}

// "none", "3", "1 to 4".
std::vector<int> numbers_of(const std::string& cell) {
  if (cell == "none") return {};
  std::smatch range;
  REQUIRE_MESSAGE(std::regex_match(cell, range, std::regex(R"((\d+)(?: to (\d+))?)")), cell);
  std::vector<int> out;
  for (int n = std::stoi(range[1]), last = range[2].matched ? std::stoi(range[2]) : n; n <= last;
       ++n)
    out.push_back(n);
  return out;
}

}  // namespace

TEST_CASE(
    "the page on upgrades has the numbers of the code, and the code no format without a row") {
  const auto rows = table_under("## What has a version", lines_of(source_text(kPage)));
  auto found = constants();
  for (const Format& format : kFormats) {
    CAPTURE(format.row);
    const auto constant = found.extract({format.file, format.constant});
    REQUIRE_MESSAGE(!constant.empty(), format.file << " has no " << format.constant);
    const auto row = std::ranges::find_if(
        rows, [&](const auto& cells) { return cells.at(0).starts_with(format.row); });
    REQUIRE(row != rows.end());
    CHECK(row->at(1) == std::to_string(constant.mapped()));
    const std::vector<int> read = numbers_of(row->at(2));
    CHECK(std::ranges::all_of(read, [&](int number) { return number < constant.mapped(); }));
    // At least the format before is read, or the page says "none", and no store is kept.
    CHECK(read.empty() == format.kept.empty());
    if (!read.empty()) CHECK(read.back() == constant.mapped() - 1);
    for (const int number : read)
      source_text(fmt::format("tests/integration/kept_stores/{}_{}.sql", format.kept, number));
  }
  for (const auto& [place, number] : found)
    FAIL_CHECK(place.first, " has ", place.second, ", and ", kPage, " no row for it");
}

TEST_CASE("the worker speaks the protocol of the program that starts it") {
  const std::string frame = source_text("common/rego/worker/internal/frame/frame.go");
  std::smatch number;
  REQUIRE(std::regex_search(frame, number, std::regex(R"(\nconst Protocol = (\d+)\n)")));
  CHECK(std::stoi(number[1]) == constants().at({"common/rego/host/frames.hpp", "kWorkerProtocol"}));
}

TEST_CASE("statement types of the page on upgrades are those of the code") {
  const std::string headers =
      source_text("protocol/trust/statements.hpp") + source_text("protocol/trust/freshness.hpp");
  const std::string page = source_text(kPage);
  const std::regex type("\"application/vnd\\.notp\\.([a-z]+\\.v\\d+)\"");
  size_t types = 0;
  for (std::sregex_iterator at(headers.begin(), headers.end(), type), end; at != end; ++at, ++types)
    CHECK_MESSAGE(page.contains("`" + (*at)[1].str() + "`"), (*at)[1].str());
  CHECK(types == 5);
}

TEST_CASE("refusals that the page on upgrades quotes have a number above that of the code") {
  const std::string page = source_text(kPage);
  const auto found = constants();
  const auto quoted = [&](const char* text, int number) {
    const std::string message = fmt::format(fmt::runtime(text), number + 1, number);
    CHECK_MESSAGE(page.contains(message), message);
  };
  for (const auto& [place, number] : found) {
    const std::string& file = place.first;
    if (file.ends_with("store_tables.cpp") || file.ends_with("segment_table.cpp"))
      quoted("*its format is {}, this program reads {}*", number);
    if (file.ends_with("fleet.cpp"))
      quoted("*the fleet database has format {}, this program reads up to {}*", number);
    if (file.ends_with("join_tokens.cpp"))
      quoted("*the join tokens have format {}, this program reads {}*", number);
    if (file.ends_with("log_table.cpp"))
      quoted("*the database of logs has format {}, this program reads {}*", number);
  }
}

}  // namespace notp
