// No token and no attribute off the lane's list is anywhere: not on disk, in logs, in decision
// records, in an OPA, nor in what the registry sends to nodes.
#include <doctest/doctest.h>

#include <fstream>
#include <sstream>

#include "common/base64url.hpp"
#include "notp-client/pdp/authz_module.hpp"
#include "tests/support/process/curl.hpp"
#include "tests/support/process/lane_listener.hpp"
#include "tests/support/process/lane_opa.hpp"
#include "tests/support/process/lane_site.hpp"
#include "tests/support/process/scanned_files.hpp"
#include "tests/support/results.hpp"
#include "tools/notp/root/key_files.hpp"

namespace notp {
namespace {

const uint64_t kTokens = count_of("NOTP_SCAN_TOKENS", 10'000);
constexpr uint64_t kTokensOfPost = 1'000;
const uint64_t kDecisions = std::min<uint64_t>(kTokens, count_of("NOTP_SCAN_DECISIONS", 300));

// In every token, in every value off the list, and in one that is found where it is looked for.
constexpr std::string_view kInToken = "t0ken-S3CRET", kOffList = "0ff-the-l1st",
                           kPlanted = "pl4nted-S3CRET";

struct Finding {
  std::string place;
  std::string_view marker;
};

class Scan {
 public:
  void text(const std::string& place, std::string_view text) {
    ++places_;
    bytes_ += text.size();
    for (const std::string_view marker : {kInToken, kOffList, kPlanted})
      if (contains(text, marker)) findings_.push_back({place, marker});
  }
  void folder(const std::filesystem::path& folder) {
    for_each_file(folder, [this](const std::string& place, const std::string& text) {
      this->text(place, text);
    });
  }
  // The places where a marker is.
  std::vector<std::string> with(std::string_view marker) const {
    std::vector<std::string> out;
    for (const Finding& finding : findings_)
      if (finding.marker == marker) out.push_back(finding.place);
    return out;
  }
  size_t places() const { return places_; }
  uint64_t bytes() const { return bytes_; }

 private:
  // As it is, in hexadecimal, and in base64 at any alignment.
  static bool contains(std::string_view text, std::string_view marker) {
    if (text.contains(marker) || text.contains(to_hex(marker))) return true;
    for (size_t skipped = 0; skipped < 3; ++skipped) {
      // Whole groups alone: what is beside the marker changes the others.
      const std::string_view inner = marker.substr(skipped, (marker.size() - skipped) / 3 * 3);
      if (text.contains(to_base64url(inner))) return true;
    }
    return false;
  }

  std::vector<Finding> findings_;
  size_t places_ = 0;
  uint64_t bytes_ = 0;
};

std::string token(uint64_t number) { return fmt::format("{}-{:06}", kInToken, number); }

// With what a provider says of a token beyond the list.
json::object event_of(uint64_t number) {
  json::object event = LaneSite::add_event(token(number), {.sub = fmt::format("user-{}", number)});
  json::object& attributes = event["attributes"].as_object();
  attributes["email"] = fmt::format("{}-{}@example.org", kOffList, number);
  attributes[fmt::format("{}-name", kOffList)] = number;
  attributes["realm_access"] = json::object{{"roles", json::array{kOffList}}};
  return event;
}

class Scene : public LaneSite {
 public:
  Scene() {
    stack.grant("admin", "audit");
    start_registry();
    for (Agent** agent : {&embedded, &fed})
      *agent = &start_agent({.name = agent == &embedded ? "edge-1" : "edge-2",
                             .ledgers = {},
                             .pdp = agent == &embedded ? "embedded" : "opa",
                             .opa_port = agent == &embedded ? 0 : opa.port()});
    opa.start(*fed);
    for (const Agent* agent : {embedded, fed}) REQUIRE(stack.becomes_active(*agent, kInvoices, 1));
  }
  void fill() const {
    for (uint64_t first = 0; first < kTokens; first += kTokensOfPost) {
      std::vector<json::object> events;
      for (uint64_t i = first; i < std::min(first + kTokensOfPost, kTokens); ++i)
        events.push_back(event_of(i));
      send(events);
    }
    // What was deleted leaves a trace of its own.
    for (uint64_t i = 1; i < kTokens; i += kTokens / 10) del(token(i));
  }
  void decide() const {
    for (uint64_t i = 0; i < kDecisions; ++i) {
      const std::string asked = token(i * (kTokens / kDecisions));
      const bool lets = lets_in(*embedded, asked);
      CHECK(lets_in(opa, asked) == lets);
      lets_in(*fed, asked);
    }
  }
  json::value lane_row() {
    const CliResult stats = stack.notp("eve", {"tokens", "stats"});
    REQUIRE_MESSAGE(stats.status == 0, stats.error);
    return at(stats.document, "lanes").as_array().at(0);
  }
  // Both nodes decide with all of the lane.
  bool is_applied() {
    const json::value row = lane_row();
    return number_at(row, "nodes") == 2 &&
           number_at(row, "applied_min") == number_at(row, "revision");
  }
  std::string export_records() {
    const auto file = stack.folder().parent_path() / (stack.folder().filename().string() + ".out");
    const CliResult exported =
        stack.notp("eve", {"decisions", "export", "--since", "1h", "--out", file});
    REQUIRE_MESSAGE(exported.status == 0, exported.error);
    std::string text = read_text(file);
    std::filesystem::remove(file);
    return text;
  }
  HeardLane hear() {
    const std::string stem = stack.issue("ear", stack.authority(), stack.leaf("node", "ear"));
    const transport::TlsFiles files{stem + ".crt", stem + ".key", stack.authority_file(),
                                    std::string(kStackDomain)};
    const int64_t head = number_at(lane_row(), "revision");
    return hear_lane(stack.registry_port(), files, std::string(kLaneName),
                     must(cli::read_public_key(stack.file("lane.pub"))),
                     static_cast<uint64_t>(head));
  }

  LaneOpa opa{stack};
  Agent *embedded = nullptr, *fed = nullptr;
};

size_t lines(const std::string& text) {
  return static_cast<size_t>(std::ranges::count(text, '\n'));
}

TEST_CASE("a scan finds no token and no attribute off the list, and what was planted") {
  Scene scene;
  Stack& stack = scene.stack;
  scene.fill();
  REQUIRE(wait_until([&] { return scene.is_applied(); }));
  scene.decide();
  std::string records;
  REQUIRE(wait_until([&] {
    records = scene.export_records();
    return lines(records) >= 3 * kDecisions;
  }));

  // A record of the embedded engine says of which revision of the lane its decision was.
  const int64_t revision = number_at(scene.lane_row(), "revision");
  size_t of_embedded = 0;
  std::istringstream each(records);
  for (std::string line; std::getline(each, line);) {
    const json::value record = must(parse_json(line));
    if (text_at(record, "path") != kInvoicesDecision) continue;
    const bool is_embedded = text_at(record, "notp.engine") == "embedded";
    of_embedded += is_embedded ? 1 : 0;
    CHECK(text_at(record, "notp.lane.name") == (is_embedded ? kLaneName : ""));
    CHECK(number_at(record, "notp.lane.revision") == (is_embedded ? revision : -1));
  }
  CHECK(of_embedded == kDecisions);

  Scan scan;
  const HeardLane heard = scene.hear();
  REQUIRE(heard.revision > 0);
  CHECK(heard.inflated.contains("user-7"));  // what is on the list
  scan.text("the lane on the wire", heard.sent);
  scan.text("the lane on the wire, inflated", heard.inflated);
  scan.text("exported decision records", records);
  const std::string secret = pdp::opa_tokens_secret(scene.opa.token());
  const std::string held = scene.opa.data("tokens", secret);
  CHECK(held.contains("user-7"));
  scan.text("data.tokens of OPA", held);
  for (const char* path : {"invoices", "keys", "system/notp"})
    scan.text("data of OPA", scene.opa.data(path, secret));
  for (const Agent* agent : {scene.embedded, scene.fed})
    for (const char* path : {"/v1/status", "/metrics", "/health/ready"})
      scan.text(agent->name() + path, curl({agent->url() + path}).body);
  scan.folder(stack.folder());
  for (const std::string_view marker : {kInToken, kOffList})
    for (const std::string& place : scan.with(marker)) FAIL_CHECK("in ", place, ": ", marker);

  // The control: in a member that no mask names, and in a file beside a store.
  scene.embedded->decide(kInvoicesDecision,
                         json::object{{"method", "GET"}, {"note", fmt::format("{}-1", kPlanted)}});
  must(write_file(stack.file("edge-1.data/planted"), fmt::format("{}-{}", to_hex(kPlanted), 2)));
  Scan control;
  REQUIRE(wait_until([&] {
    control = {};
    control.text("exported decision records", scene.export_records());
    return !control.with(kPlanted).empty();
  }));
  control.folder(stack.file("edge-1.data"));
  CHECK(control.with(kPlanted).size() >= 2);
  record_result("a scan after tokens in a lane, an embedded agent and an OPA",
                fmt::format("{} tokens, {} decisions at three PDPs", kTokens, kDecisions),
                fmt::format("{} places, {} MB: 0 tokens, 0 attributes off the list; what was "
                            "planted was found",
                            scan.places(), scan.bytes() / 1'000'000));
}

}  // namespace
}  // namespace notp
