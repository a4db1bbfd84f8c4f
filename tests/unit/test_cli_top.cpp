// The screen of `notp top` from given answers, and the arithmetic of `notp capacity`.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <algorithm>
#include <numeric>
#include <random>
#include <set>

#include "common/json/json.hpp"
#include "common/storage/files.hpp"
#include "tests/support/wire/test_pki.hpp"
#include "tools/notp/capacity/estimate.hpp"
#include "tools/notp/top/screen.hpp"

namespace notp::cli {
namespace {

constexpr TimeMs kNoon = 1'782'907'200'000;  // 2026-07-01T12:00:00Z
const Output kPlain{Output::Options{}};
const Output kColoured{Output::Options{.colour = true}};

wire::LedgerStatus ledger(const std::string& name, uint64_t current, uint64_t older,
                          uint64_t rejected, uint64_t away) {
  wire::LedgerStatus row;
  row.ledger = {100'000'000'000, name};
  row.head_version = 42;
  row.published_ms = kNoon - 61'000;
  row.nodes = current + older + rejected + away;
  row.current = current;
  row.older = older;
  row.rejected = rejected;
  row.away = away;
  row.slowest_ms = 812;
  return row;
}

wire::RegistryStatus sample() {
  wire::RegistryStatus status;
  status.started_ms = kNoon - 3 * 3'600'000;
  status.now_ms = kNoon;
  status.sessions = 10'001;
  status.publishes = 12;
  status.offers = 119'000;
  status.sent_bytes = 17'850'000;
  status.activations = 118'400;
  status.rejections = 3;
  status.records = 5'000'000;
  status.lag_ms = 2'400;
  status.nodes = 10'100;
  status.connected = 10'000;
  status.ledgers = {ledger("api-gateway", 5'000, 0, 0, 0),
                    ledger("payments-of-the-whole-company", 4'900, 90, 10, 100)};
  return status;
}

View view_of(const wire::RegistryStatus& status) {
  return {.registry = "registry.internal:7443", .status = &status, .now_ms = 1'000};
}

std::string text_of(const std::vector<std::string>& lines) {
  std::string out;
  for (const std::string& line : lines) out += line + "\n";
  return out;
}

TEST_CASE("on a wide screen everything of a ledger is in its line") {
  const auto status = sample();
  const std::string text = text_of(screen_lines(kPlain, view_of(status), {200, 50}));
  for (const char* part : {"notp top  registry.internal:7443  2026-07-01T12:00:00Z  up 3h",
                           "sessions 10,001",
                           "nodes 10,100",
                           "connected 10,000",
                           "away 100",
                           "publishes 12",
                           "pushes 119,000",
                           "sent 17.9 MB",
                           "ACTIVE 118,400",
                           "rejected 3",
                           "records 5,000,000",
                           "lag 2.4 s",
                           "LEDGER",
                           "CURRENT OF NODES",
                           "SLOWEST",
                           "100000000000/payments-of-the-whole-company",
                           "4,900/5,100",
                           "61s",
                           "812 ms",
                           "= current  - older  x rejected  . away"})
    CHECK_MESSAGE(text.contains(part), part, " is not in:\n", text);
  CHECK_FALSE(text.contains('\033'));
}

TEST_CASE("at 80 columns counts beyond the current ones are in the bar, at 40 all of them are") {
  const auto status = sample();
  const std::string at_80 = text_of(screen_lines(kPlain, view_of(status), {80, 50}));
  CHECK(at_80.contains("4,900/5,100"));
  CHECK_FALSE(at_80.contains("SLOWEST"));
  const std::string at_40 = text_of(screen_lines(kPlain, view_of(status), {40, 50}));
  CHECK_FALSE(at_40.contains("4,900/5,100"));
  // The end of a name that does not fit.
  CHECK(at_40.contains("~"));
  CHECK(at_40.contains("company"));
  CHECK(at_40.contains("v42"));
}

TEST_CASE("no line is wider than the screen, and no more lines are shown than it has") {
  auto status = sample();
  for (int i = 0; i < 300; ++i)
    status.ledgers.push_back(ledger(fmt::format("l-{}", i), 1, 1, 1, 1));
  View view = view_of(status);
  view.rates = Rates{.publishes = 1'234.5, .sent_bytes = 9e9, .records = 1e9};
  view.trouble = Trouble{std::string(500, 'w'), 0};
  for (const Output* output : {&kPlain, &kColoured})
    for (const size_t columns : {1U, 5U, 20U, 39U, 40U, 59U, 60U, 80U, 109U, 110U, 200U, 400U})
      for (const size_t rows : {1U, 2U, 5U, 12U, 24U, 100U, 1'000U}) {
        const auto lines = screen_lines(*output, view, {columns, rows});
        CHECK(lines.size() <= rows);
        for (const std::string& line : lines)
          CHECK_MESSAGE(shown_columns(line) <= columns, columns, ": ", line);
      }
  const auto lines = screen_lines(kPlain, view, {80, 24});
  CHECK(lines.size() == 24);
  CHECK(lines[22].starts_with("and "));
  CHECK(lines[23].starts_with("= current"));
  const auto few = screen_lines(kPlain, view, {.columns = 80, .rows = SIZE_MAX, .ledgers = 3});
  CHECK(text_of(few).contains("and 299 ledgers more"));
}

TEST_CASE("a bar's parts sum to its width, and what is there is seen") {
  using Parts = std::array<uint64_t, 4>;
  const auto sum = [](const auto& cells) {
    return std::accumulate(cells.begin(), cells.end(), size_t{0});
  };
  CHECK(bar_cells({0, 0, 0, 0}, 10) == std::array<size_t, 4>{0, 0, 0, 0});
  CHECK(bar_cells({1, 0, 0, 0}, 10) == std::array<size_t, 4>{10, 0, 0, 0});
  CHECK(bar_cells({1, 1, 1, 1}, 10) == std::array<size_t, 4>{3, 3, 2, 2});
  CHECK(bar_cells({9'999, 0, 1, 0}, 10) == std::array<size_t, 4>{9, 0, 1, 0});
  CHECK(bar_cells({9'998, 1, 1, 0}, 2) != std::array<size_t, 4>{2, 0, 0, 0});
  std::mt19937_64 random(20'261'130);
  for (int i = 0; i < 20'000; ++i) {
    Parts parts{};
    for (uint64_t& part : parts) part = random() % 3 == 0 ? 0 : random() >> (random() % 63);
    const size_t columns = random() % 61;
    const auto cells = bar_cells(parts, columns);
    CAPTURE(i);
    const bool any = parts != Parts{};
    CHECK(sum(cells) == (any ? columns : 0));
    for (size_t k = 0; k < parts.size(); ++k) {
      if (parts[k] == 0) CHECK(cells[k] == 0);
      if (parts[k] != 0 && columns >= 4) CHECK(cells[k] >= 1);
    }
  }
}

TEST_CASE("every ledger's bar is as wide as the others, in every width") {
  auto status = sample();
  status.ledgers = {ledger("a", 7, 0, 0, 0), ledger("b", 1, 1, 1, 1), ledger("c", 0, 0, 0, 900)};
  for (const size_t columns : {40U, 80U, 200U}) {
    const auto lines = screen_lines(kPlain, view_of(status), {columns, 50});
    std::set<size_t> bars;
    for (const std::string& line : lines)
      if (line.starts_with("100000000000/") || line.starts_with("~")) {
        const std::string bar = line.substr(line.rfind(' ') + 1);
        CHECK(bar.find_first_not_of("=-x.") == std::string::npos);
        bars.insert(bar.size());
      }
    CHECK(bars.size() == 1);
    CHECK(*bars.begin() >= 8);
  }
  // A ledger without nodes has no bar.
  status.ledgers = {ledger("empty", 0, 0, 0, 0)};
  CHECK_FALSE(text_of(screen_lines(kPlain, view_of(status), {80, 50})).contains("====="));
}

TEST_CASE("colours add nothing but colour") {
  const auto status = sample();
  const auto plain = screen_lines(kPlain, view_of(status), {100, 30});
  const auto coloured = screen_lines(kColoured, view_of(status), {100, 30});
  REQUIRE(plain.size() == coloured.size());
  for (size_t i = 0; i < plain.size(); ++i) CHECK(shown_columns(coloured[i]) == plain[i].size());
  CHECK(text_of(coloured).contains("\033[32m"));
}

TEST_CASE("what a peer says cannot move the cursor or turn the line") {
  const auto status = sample();
  View view = view_of(status);
  view.registry = "host\033[2J:7443";
  view.trouble = Trouble{
      "gone\r\n\033]0;owned\a \xe2\x80\xae"
      "desrever \xc2\x9b",
      400};
  const std::string text = text_of(screen_lines(kPlain, view, {120, 30}));
  CHECK_FALSE(text.contains('\033'));
  CHECK_FALSE(text.contains('\r'));
  CHECK_FALSE(text.contains("\xe2\x80\xae"));
  CHECK(text.contains("host\\x1b[2J:7443"));
  CHECK(text.contains("this is 600 ms old: gone\\x0d\\x0a\\x1b]0;owned\\x07 desrever"));
}

TEST_CASE("without an answer the screen says for how long") {
  const std::string text = text_of(screen_lines(
      kPlain,
      {.registry = "r:1", .trouble = Trouble{"connection refused", 1'000}, .now_ms = 66'000},
      {80, 24}));
  CHECK(text == "notp top  r:1\nno answer for 65s: connection refused\n");
}

TEST_CASE("rates are differences by the registry's clock") {
  auto before = sample(), after = sample();
  after.now_ms += 2'000;
  after.publishes += 1;
  after.offers += 20'000;
  after.sent_bytes += 3'000'000;
  after.activations += 19'000;
  after.records += 160'000;
  const auto rates = rates_between(before, after);
  REQUIRE(rates.has_value());
  CHECK(rates->publishes == 0.5);
  CHECK(rates->offers == 10'000);
  CHECK(rates->sent_bytes == 1'500'000);
  CHECK(rates->activations == 9'500);
  CHECK(rates->rejections == 0);
  CHECK(rates->records == 80'000);
  View view = view_of(after);
  view.rates = rates;
  const std::string text = text_of(screen_lines(kPlain, view, {80, 24}));
  for (const char* part : {"publishes 13 (0.5/s)", "pushes 139,000 (10,000/s)",
                           "sent 20.9 MB (1.5 MB/s)", "records 5,160,000 (80,000/s)"})
    CHECK_MESSAGE(text.contains(part), part, " is not in:\n", text);

  CHECK_FALSE(rates_between(after, before).has_value());
  CHECK_FALSE(rates_between(after, after).has_value());
  after.started_ms += 1;  // it started again
  CHECK_FALSE(rates_between(before, after).has_value());
}

TEST_CASE("what deviates comes first") {
  std::vector<wire::LedgerStatus> rows = {ledger("d", 9, 0, 0, 0), ledger("c", 1, 5, 0, 0),
                                          ledger("b", 1, 0, 1, 0), ledger("a", 5, 0, 0, 2),
                                          ledger("e", 1, 0, 0, 0)};
  rows[4].published_ms = kNoon;
  const auto names = [&](LedgerOrder order) {
    sort_ledgers(rows, order);
    std::string out;
    for (const wire::LedgerStatus& row : rows) out += row.ledger.name;
    return out;
  };
  CHECK(names(LedgerOrder::kDeviating) == "bcade");
  CHECK(names(LedgerOrder::kName) == "abcde");
  CHECK(names(LedgerOrder::kNodes) == "dacbe");
  CHECK(names(LedgerOrder::kPublished) == "eabcd");
}

TEST_CASE("the document has every number") {
  const json::object document = status_json("r:1", sample());
  CHECK(document.at("registry") == "r:1");
  CHECK(document.at("started") == "2026-07-01T09:00:00Z");
  CHECK(document.at("records").to_number<uint64_t>() == 5'000'000);
  CHECK(document.at("lag_ms").to_number<uint64_t>() == 2'400);
  const json::object& row = document.at("ledgers").at(1).as_object();
  CHECK(row.at("ledger") == "100000000000/payments-of-the-whole-company");
  CHECK(row.at("rejected").to_number<uint64_t>() == 10);
  CHECK(row.at("slowest_ms").to_number<int64_t>() == 812);
  auto old = sample();
  old.ledgers[0].published_ms = 0;
  CHECK(status_json("r:1", old).at("ledgers").at(0).at("published").is_null());
}

// --- capacity

// Every one is a number of its own, so that a formula with another one is seen.
Coefficients easy_costs() {
  json::array rows;
  double value = 1;
  for (const std::string_view name : Coefficients::kNames) {
    rows.push_back(json::object{
        {"name", name}, {"value", ++value}, {"unit", ""}, {"of", ""}, {"measured", ""}});
  }
  return must(Coefficients::parse(json::serialize(json::object{{"coefficients", rows}})));
}

double amount(const std::vector<Need>& needs, std::string_view name) {
  for (const Need& need : needs)
    if (need.name == name) return need.sum();
  FAIL("no such need: ", std::string(name));
  return 0;
}

TEST_CASE("the arithmetic of each need") {
  const Coefficients c = easy_costs();
  const Work work{.nodes = 1'000,
                  .ledgers = 4,
                  .ledgers_per_node = 2,
                  .model_bytes = 7'000,
                  .delta_bytes = 300,
                  .publishes_per_hour = 72,
                  .decisions_per_second = 3,
                  .record_bytes = 2 * c["measured_record_bytes"],
                  .freshness_interval_s = 25};
  CHECK(work.reached() == 500);
  const auto registry = registry_needs(work, c);
  CHECK(amount(registry, "processor") ==
        doctest::Approx((500 * 72 / 3600.0 * c["push_us"] + 1'000 / 25.0 * c["renew_us"] +
                         1'000 * 3 * c["ingest_us"] * 2) /
                        1e6));
  CHECK(amount(registry, "return_of_all") == doctest::Approx(1'000 * c["connect_us"] / 1e6));
  CHECK(amount(registry, "memory") ==
        doctest::Approx(c["registry_bytes"] + 1'000 * c["session_bytes"] + 2 * 4 * 7'000));
  CHECK(amount(registry, "descriptors") == 1'000 + c["registry_descriptors"]);
  CHECK(amount(registry, "disk_models") == 28'000);
  CHECK(amount(registry, "disk_a_day") ==
        doctest::Approx(1'000 * 3 * 86'400.0 * c["record_stored_bytes"] * 2 + 72 * 24 * 300));
  CHECK(amount(registry, "sent_at_publish") == doctest::Approx(500 * (300 + c["push_bytes"])));
  CHECK(amount(registry, "sent") == doctest::Approx(500 * 72 / 3600.0 * (300 + c["push_bytes"]) +
                                                    1'000 / 25.0 * c["renew_bytes"]));
  CHECK(amount(registry, "received") == doctest::Approx(1'000 * 3 * c["record_wire_bytes"] * 2));

  const auto node = node_needs(work, c);
  CHECK(amount(node, "processor") ==
        doctest::Approx(3 * (c["decide_us"] + c["spool_us"] * 2) / 1e6));
  CHECK(amount(node, "memory") == doctest::Approx(c["agent_bytes"] + 14'000 * c["model_factor"] +
                                                  7'000 * c["change_factor"]));
  CHECK(amount(node, "descriptors") == c["node_descriptors"]);
  CHECK(amount(node, "disk_a_day") ==
        doctest::Approx(3 * 86'400.0 * c["record_spooled_bytes"] * 2));
  CHECK(amount(node, "received") ==
        doctest::Approx(0.5 * 72 / 3600.0 * (300 + c["push_bytes"]) + c["renew_bytes"] / 25));
  CHECK(amount(node, "sent") == doctest::Approx(3 * c["record_wire_bytes"] * 2));
}

TEST_CASE("what a release reaches is never more than all nodes, and caches have their ends") {
  const Coefficients c = easy_costs();
  CHECK(Work{.nodes = 10, .ledgers = 1, .ledgers_per_node = 5}.reached() == 10);
  CHECK(Work{.nodes = 10, .ledgers = 0}.reached() == 0);
  const Work large{.nodes = 1, .ledgers = 1'000, .model_bytes = 1e9};
  CHECK(amount(registry_needs(large, c), "memory") ==
        doctest::Approx(c["registry_bytes"] + c["session_bytes"] +
                        static_cast<double>((1ULL << 30) + (256ULL << 20))));
}

TEST_CASE("the kept coefficients are complete and say what measured them; the last figures") {
  const Coefficients c = must(Coefficients::built_in());
  CHECK(c.all().size() == std::size(Coefficients::kNames));
  for (const auto& [name, one] : c.all()) {
    CAPTURE(name);
    CHECK(one.value > 0);
    CHECK_FALSE(one.of.empty());
    CHECK_FALSE(one.measured.empty());
    const bool is_known = one.unit == "us" || one.unit == "B" || one.unit.empty();
    CHECK(is_known);
    CHECK(name.ends_with("_us") == (one.unit == "us"));
    CHECK(name.ends_with("_bytes") == (one.unit == "B"));
  }
  // 10,000 agents, 10 publishes a minute of 1 KB to all of them, no decisions: reckoned by hand.
  const Work known{.nodes = 10'000,
                   .ledgers = 1,
                   .model_bytes = 0,
                   .delta_bytes = 1'000,
                   .publishes_per_hour = 600,
                   .decisions_per_second = 0,
                   .record_bytes = c["measured_record_bytes"]};
  const auto needs = registry_needs(known, c);
  CHECK(amount(needs, "processor") ==
        doctest::Approx(100'000 / 60e6 * c["push_us"] + 10'000 / 30e6 * c["renew_us"]));
  CHECK(amount(needs, "memory") ==
        doctest::Approx(c["registry_bytes"] + 10'000 * c["session_bytes"]));
  CHECK(amount(needs, "sent") == doctest::Approx(100'000 / 60.0 * (1'000 + c["push_bytes"]) +
                                                 10'000 / 30.0 * c["renew_bytes"]));
  CHECK(amount(needs, "return_of_all") == doctest::Approx(c["connect_us"] / 100));
}

TEST_CASE("a file of coefficients that is not right is refused by what is wrong") {
  const auto refusal = [](std::string_view text) {
    const auto parsed = Coefficients::parse(text);
    REQUIRE_FALSE(parsed.has_value());
    return parsed.error().message;
  };
  const std::string one =
      R"({"name": "push_us", "value": 1, "unit": "us", "of": "o", "measured": "m"})";
  CHECK(refusal("[]").contains("no array"));
  CHECK(refusal(R"({"coefficients": [1]})").contains("no object"));
  CHECK(refusal(R"({"coefficients": [{"name": "push_us", "value": 0}]})").contains("push_us"));
  CHECK(refusal(fmt::format(R"({{"coefficients": [{}, {}]}})", one, one)).contains("twice"));
  CHECK(refusal(fmt::format(R"({{"coefficients": [{}]}})", one)).contains("missing"));
}

TEST_CASE("a registry's own figures take the place of what is assumed, as far as it has them") {
  wire::RegistryStatus status;
  status.now_ms = kNoon;
  status.started_ms = kNoon - 7'200'000;
  status.nodes = 100;
  status.publishes = 30;
  status.offers = 200;
  status.sent_bytes = 50'000;
  status.records = 7'200 * 100 * 4;
  status.ledgers = {ledger("a", 100, 0, 0, 0), ledger("b", 20, 0, 10, 20)};
  const Work work = work_of(status, {.model_bytes = 5});
  CHECK(work.nodes == 100);
  CHECK(work.ledgers == 2);
  CHECK(work.ledgers_per_node == 1.5);
  CHECK(work.delta_bytes == 250);
  CHECK(work.publishes_per_hour == 15);
  CHECK(work.decisions_per_second == 4);
  CHECK(work.model_bytes == 5);
  // Too early for a mean.
  status.started_ms = kNoon - 59'000;
  CHECK(work_of(status, {.publishes_per_hour = 8}).publishes_per_hour == 8);
}

}  // namespace
}  // namespace notp::cli
