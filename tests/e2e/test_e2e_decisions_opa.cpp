// Decisions of an unmodified OPA reach the audit store by both feeds; what masks name is nowhere on
// disk, in a log or in the audit store, whoever decided.
#include <doctest/doctest.h>

#include <fstream>
#include <random>

#include "tests/support/process/audit_site.hpp"
#include "tests/support/process/curl.hpp"
#include "tests/support/process/shop_model.hpp"
#include "tests/support/results.hpp"

namespace notp {
namespace {

constexpr uint64_t kSeed = 20'261'129;
constexpr std::string_view kMarker = "S3CRET";  // in every secret, and nowhere else

std::filesystem::path write_shop(const Stack& stack) {
  return write_logged_shop(stack,
                           R"({"mask": ["/input/password", "/input/cards/*/number", "/result/token",
                           "/input/größe a;b", {"op": "commit", "path": "/input/iban"}]})",
                           R"(package shop

answer := {"allow": input.user == "ana", "token": input.password}
)",
                           R"(package system.log

mask contains "/input/note"
)");
}

// Every place for a secret that some mask names, and one that the built-in masks know.
json::value question(size_t i) {
  const std::string secret = fmt::format("{}-{}", kMarker, i);
  return {{"user", i % 2 == 0 ? "ana" : "bob"},
          {"number", i},
          {"password", secret},
          {"note", secret},
          {"iban", secret},
          {"größe a;b", secret},
          {"cards", json::array{{{"number", secret}, {"kind", "visa"}}}},
          {"token", "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJhbmEifQ." + secret},
          {"headers", {{"Authorization", "Bearer " + secret}}}};
}

// The files below a folder that hold the marker. Compressed ones are read through their programs.
std::vector<std::string> files_with_marker(const std::filesystem::path& folder) {
  std::vector<std::string> out;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder)) {
    if (!entry.is_regular_file()) continue;
    if (read_text(entry.path()).contains(kMarker)) out.push_back(entry.path().string());
  }
  return out;
}

class Shop {
 public:
  AuditSite site;
  Stack& stack = site.stack;
  const AskedPdp pdp;
  Agent& agent = *pdp.agent;

  explicit Shop(const std::string& feed) : pdp(site.start_pdp("edge-1", kShop, feed)) {
    const int64_t version = stack.published(write_shop(stack), kShop);
    REQUIRE(stack.becomes_active(agent, kShop, version));
  }

  void check_no_secret() {
    std::set<std::string> numbers;
    for (const json::value& record : site.records())
      if (const json::value& input = at(record, "input"); input.is_object()) {
        const std::string text = json::serialize(record);
        CHECK_MESSAGE(!text.contains(kMarker), "a secret in a record: " << text);
        numbers.insert(json::serialize(at(input, "number")));
        CHECK(text_at(record, "notp.ledger") == kShop);
      }
    CHECK(numbers.size() == asked);
    // The model's source and the questions are not written to disk by this test.
    const auto files = files_with_marker(stack.folder());
    CHECK_MESSAGE(files.empty(), "a secret in " << (files.empty() ? "" : files.front()));
  }

  // Asks, and keeps the ids.
  void ask(size_t count) {
    for (size_t i = 0; i < count; ++i, ++asked) {
      const IdentifiedAnswer answer = ask_with_id(pdp.url(), "shop/answer", question(asked));
      REQUIRE_MESSAGE(answer.status == 200, answer.body);
      REQUIRE_FALSE(answer.decision_id.empty());
      site.given(answer.decision_id);
    }
  }
  size_t asked = 0;
};

void check_secrets(Shop& shop, const char* feed) {
  shop.ask(count_of("NOTP_SECRET_QUESTIONS", 200));
  const size_t recorded = shop.site.check_all();
  CHECK(recorded >= shop.asked);
  shop.check_no_secret();
  record_result(fmt::format("secrets under masks, {}", feed),
                fmt::format("{} decisions, each with 8 secrets, {} recorded", shop.asked, recorded),
                "none in a file of registry, agent or OPA, in a log or in an export");
}

TEST_CASE("no secret under a mask is in a file, a log or the audit store: embedded PDP") {
  Shop shop("");
  check_secrets(shop, "embedded PDP");
  // The holder of a value can prove that it was the recorded one.
  const json::value first =
      shop.stack.notp("eve", {"decisions", "show", *shop.site.answered().begin()}).document;
  CHECK(at(first, "notp.commitments").as_array().size() == 1);
}

TEST_CASE("no secret under a mask is in a file, a log or the audit store: OPA writes a file") {
  Shop shop("file");
  check_secrets(shop, "OPA writes a file");
  CHECK(curl({shop.agent.url() + "/metrics"})
            .body.contains(fmt::format("\nnotp_agent_opa_events_recorded_total {}\n", shop.asked)));
}

TEST_CASE("no secret under a mask is in a file, a log or the audit store: OPA posts") {
  Shop shop("service");
  check_secrets(shop, "OPA posts");
}

// `kills_opa`: an OPA that posts loses with its life what it had not sent.
void check_kills_beside_opa(const std::string& feed, bool kills_opa) {
  Shop shop(feed);
  Opa& opa = *shop.pdp.opa;
  std::mt19937_64 random(kSeed);
  const uint64_t kills = count_of("NOTP_AGENT_KILLS", 4);
  for (uint64_t kill = 0; kill < kills; ++kill) {
    shop.ask(1 + random() % 60);
    if (kills_opa) opa.kill();
    shop.agent.kill();
    if (!kills_opa) shop.ask(1 + random() % 20);
    shop.agent.start();
    if (kills_opa) opa.start(shop.agent);
    REQUIRE(wait_until([&] { return opa.decide("shop/answer", question(0)).has_value(); }));
  }
  const size_t recorded = shop.site.check_all();
  CHECK(recorded >= shop.asked);
  const CliResult verified = shop.site.verify();
  CHECK_MESSAGE(verified.status == 0, verified.output << verified.error);
  record_result(
      fmt::format("{} killed, OPA's feed is {}", kills_opa ? "agent and OPA" : "an agent", feed),
      fmt::format("{} kills, seed {}, {} decisions answered, {} recorded", kills, kSeed, shop.asked,
                  recorded),
      "0 answered lost, 0 twice, 0 positions missing");
}

TEST_CASE("decisions that OPA has written are recorded once, though OPA and agent are killed") {
  check_kills_beside_opa("file", true);
}

TEST_CASE("decisions that OPA posts are recorded once, though the agent is killed") {
  check_kills_beside_opa("service", false);
}

}  // namespace
}  // namespace notp
