// What a node does under load while a provider changes its key, beside an OPA that polls a bundle;
// and when tokens name keys that nobody has.
#include <doctest/doctest.h>

#include <algorithm>
#include <chrono>
#include <thread>

#include "common/base64url.hpp"
#include "tests/support/process/memory_peaks.hpp"
#include "tests/support/providers/keycloak.hpp"
#include "tests/support/providers/keys_site.hpp"
#include "tests/support/providers/polling_opa.hpp"
#include "tests/support/results.hpp"
#include "tests/support/wire/raw_tls_client.hpp"
#include "tests/support/wire/wire_messages.hpp"
#include "tools/bench/http_load.hpp"

namespace notp {
namespace {

using Kind = DrivenProvider::Kind;
using std::chrono::steady_clock;

// The slow proof sets these.
const double kRate = static_cast<double>(count_of("NOTP_ROTATION_RATE", 100));
const auto kPollS = static_cast<int64_t>(count_of("NOTP_ROTATION_POLL_S", 2));
const uint64_t kUnknownKeys = count_of("NOTP_UNKNOWN_KEYS", 1'000);
const bool kIsProof = count_of("NOTP_ROTATION_RATE", 0) > 0;

constexpr double kControlRate = 50;  // takes little of the cores that both share
constexpr size_t kConnections = 16;
// After the new key, on top of a poll: in seconds.
constexpr double kAfterS = 3;

Bytes decision_request(const std::string& token) {
  const std::string body = json::serialize(json::object{{"input", {{"token", token}}}});
  return fmt::format(
      "POST /v1/data/{} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
      "Content-Length: {}\r\n\r\n{}",
      kOrdersAllow, body.size(), body);
}

// Questions about one valid token, and for how long the answer was no.
class TokenLoad {
 public:
  TokenLoad(uint16_t port, const std::string& token, double rate, double seconds)
      : begun_(steady_clock::now()), last_right_(begun_), thread_([=, this] {
          bench::LoadPlan plan;
          plan.address.port = port;
          plan.connections = kConnections;
          plan.requests = {decision_request(token)};
          plan.judge = [this](size_t, const bench::HttpAnswer& answer) { return judge(answer); };
          plan.rate = rate;
          plan.seconds = seconds;
          figures_ = bench::run_load(plan);
        }) {}

  struct Outcome {
    uint64_t allowed = 0, denied = 0, undecided = 0;
    double longest_denied_s = 0;  // from the allowed answer before, or the beginning, to the next
    bool is_allowed_at_last = false;
    double p99_ms = 0;  // of the allowed ones
  };
  Outcome finish() {
    thread_.join();
    REQUIRE_MESSAGE(figures_, figures_.error().message);
    outcome_.allowed = figures_->answers;
    outcome_.is_allowed_at_last = !is_denied_;
    if (figures_->answers > 0) outcome_.p99_ms = figures_->latency.p99();
    return outcome_;
  }

 private:
  bench::Verdict judge(const bench::HttpAnswer& answer) {
    const auto now = steady_clock::now();
    const std::string_view body(answer.body);
    if (answer.status != 200) {
      // A machine that is busy with other things: no word about the token.
      ++outcome_.undecided;
      return bench::Verdict::kRefused;
    }
    if (body.contains("\"result\":true")) {
      if (is_denied_)
        outcome_.longest_denied_s = std::max(
            outcome_.longest_denied_s, std::chrono::duration<double>(now - last_right_).count());
      is_denied_ = false;
      last_right_ = now;
      return bench::Verdict::kRight;
    }
    is_denied_ = true;
    ++outcome_.denied;
    return bench::Verdict::kWrong;
  }

  const steady_clock::time_point begun_;
  steady_clock::time_point last_right_;
  bool is_denied_ = false;
  Outcome outcome_;
  Result<bench::LoadFigures> figures_ = fail(ErrorCode::kInternal, "not run");
  std::jthread thread_;  // last: it uses the rest
};

uint16_t port_of(const std::string& url) {
  return static_cast<uint16_t>(std::stoi(url.substr(url.rfind(':') + 1)));
}

void rotate_under_load(KeysSite& site, OpenIdProvider& provider, const std::string& name) {
  site.start(provider);
  const Agent& agent = site.start_agent({.name = "edge-1", .ledgers = {}});
  site.becomes_ready(agent);
  const PollingOpa opa(site.stack, provider, site.write_policy(provider.issuer()), kPollS);
  const std::string old = provider.token();
  REQUIRE(allows(agent, old));
  REQUIRE(allows(opa, old));

  const double seconds = static_cast<double>(kPollS) + kAfterS;
  // Half of the questions are about a token of the old key, half about one of the new key. The
  // rotation comes right after a poll, which is the control's worst case.
  const int polls = opa.polls();
  REQUIRE(wait_until([&] { return opa.polls() > polls; }, milliseconds(2'000 * kPollS + 10'000)));
  TokenLoad of_old(port_of(agent.url()), old, kRate / 2, seconds);
  provider.rotate();
  const std::string fresh = provider.token();
  TokenLoad of_new(port_of(agent.url()), fresh, kRate / 2, seconds);
  TokenLoad control(static_cast<uint16_t>(opa.port()), fresh, kControlRate, seconds);
  const auto with_old = of_old.finish(), with_new = of_new.finish(), polled = control.finish();

  CHECK(with_old.denied == 0);
  REQUIRE(wait_until([&] { return allows(agent, fresh); }));
  const json::value row = site.source();
  CHECK(number_at(row, "version") == 2);
  CHECK(number_at(row, "fetches") == 2);
  record_result(
      fmt::format("a new key of {} under {:.0f} decisions/s at one node, beside an OPA that polls "
                  "every {} s",
                  name, kRate, kPollS),
      fmt::format("{} decisions with the old key, {} with the new one",
                  with_old.allowed + with_old.denied, with_new.allowed + with_new.denied),
      fmt::format("a valid token was denied for at most {:.0f} ms ({} decisions; p99 of the others "
                  "{:.1f} ms; {} evaluations timed out), with the old key never; the OPA denied it "
                  "for {} s",
                  with_new.longest_denied_s * 1e3, with_new.denied, with_new.p99_ms,
                  with_new.undecided + with_old.undecided,
                  polled.is_allowed_at_last ? fmt::format("{:.1f}", polled.longest_denied_s)
                                            : fmt::format("more than {:.0f}", seconds)));
  if (!kIsProof) return;
  CHECK(with_new.is_allowed_at_last);
  CHECK(with_new.longest_denied_s < 1);
  provider.retire();
  site.refresh();
  REQUIRE(wait_until([&] { return !allows(agent, old); }));
  CHECK(allows(agent, fresh));
}

// A token of the issuer with a kid that no key set has, and a signature of the right size.
std::string unknown_token(const std::string& issuer, uint64_t number) {
  const std::string header = fmt::format(R"({{"alg":"RS256","kid":"no-key-{}"}})", number);
  const std::string claims =
      fmt::format(R"({{"iss":"{}","aud":"orders","exp":4000000000}})", issuer);
  return fmt::format("{}.{}.{}", to_base64url(header), to_base64url(claims), std::string(342, 'A'));
}

}  // namespace

TEST_CASE("oidc-provider changes its key under load") {
  KeysSite site;
  DrivenProvider provider(Kind::kOidcProvider, site.setup(site.tls()));
  rotate_under_load(site, provider, "oidc-provider 9.13.3");
}

TEST_CASE("the provider in Go changes its key under load") {
  if (!kIsProof) return;
  KeysSite site;
  DrivenProvider provider(Kind::kZitadel, site.setup());
  rotate_under_load(site, provider, "zitadel/oidc v3.52.0");
}

TEST_CASE("Keycloak changes its key under load") {
  if (!kIsProof) return;
  KeysSite site;
  const CommandResult home =
      run_command({(site.stack.source() / "tools/build-openid").string(), "--keycloak"});
  REQUIRE_MESSAGE(home.status == 0, home.output);
  // The last line, after the progress.
  const std::string printed = home.output.substr(0, home.output.find_last_not_of('\n') + 1);
  Keycloak provider(site.setup(), printed.substr(printed.rfind('\n') + 1));
  rotate_under_load(site, provider, "Keycloak 26.7.3");
}

// The price of asking a provider twice a minute at most.
TEST_CASE("a second new key within half a minute waits for the end of it") {
  if (!kIsProof) return;
  KeysSite site;
  DrivenProvider provider(Kind::kOidcProvider, site.setup());
  site.start(provider);
  const Agent& agent = site.start_agent({.name = "edge-1", .ledgers = {}});
  site.becomes_ready(agent);
  provider.rotate();
  const std::string first = provider.token();
  REQUIRE(wait_until([&] { return allows(agent, first); }));

  constexpr double kSeconds = 40;
  provider.rotate();
  TokenLoad load(port_of(agent.url()), provider.token(), kControlRate, kSeconds);
  const auto outcome = load.finish();
  CHECK(outcome.is_allowed_at_last);
  CHECK(outcome.longest_denied_s < 31);
  CHECK(provider.key_set_requests() == 3);
  record_result("a second new key right after the first one",
                fmt::format("{} decisions about its token", outcome.allowed + outcome.denied),
                fmt::format("denied for {:.1f} s", outcome.longest_denied_s));
}

// Each decision is refused, and the provider is asked twice a minute at most.
TEST_CASE("tokens that name unknown keys cost the provider two fetches a minute") {
  KeysSite site;
  DrivenProvider provider(Kind::kZitadel, site.setup());
  site.start(provider);
  const Agent& agent = site.start_agent({.name = "edge-1", .ledgers = {}});
  site.becomes_ready(agent);
  const int64_t before = provider.key_set_requests();

  constexpr uint64_t kBatch = 10'000;
  constexpr double kFloodRate = 10'000;
  const auto begun = steady_clock::now();
  uint64_t denied = 0, undecided = 0;
  for (uint64_t first = 0; first < kUnknownKeys; first += kBatch) {
    const uint64_t count = std::min(kBatch, kUnknownKeys - first);
    bench::LoadPlan plan;
    plan.address.port = port_of(agent.url());
    plan.connections = kConnections;
    for (uint64_t i = 0; i < count; ++i)
      plan.requests.push_back(decision_request(unknown_token(provider.issuer(), first + i)));
    plan.judge = [](size_t, const bench::HttpAnswer& answer) {
      if (answer.status != 200) return bench::Verdict::kRefused;
      const bool is_no = ByteView(answer.body).contains("\"result\":false");
      return is_no ? bench::Verdict::kRight : bench::Verdict::kWrong;
    };
    plan.rate = kFloodRate;
    plan.seconds = static_cast<double>(count) / kFloodRate;
    const auto figures = bench::run_load(plan);
    REQUIRE_MESSAGE(figures, figures.error().message);
    REQUIRE_MESSAGE(figures->wrong == 0, figures->first_failure);
    denied += figures->answers;
    undecided += figures->failed;
  }
  // The first report has caused a fetch; the rest waits for the floor of 30 s.
  REQUIRE(wait_until([&] { return provider.key_set_requests() > before; }));
  const double seconds = std::chrono::duration<double>(steady_clock::now() - begun).count();
  const int64_t fetches = provider.key_set_requests() - before;
  CHECK(denied + undecided == kUnknownKeys);
  CHECK(static_cast<double>(fetches) <= 1 + seconds / 30);
  CHECK(text_at(site.source(), "state") == "ok");
  record_result("tokens with unknown keys at a node",
                fmt::format("{} tokens, each with another kid, in {:.0f} s", kUnknownKeys, seconds),
                fmt::format("{} denied, {} evaluations timed out; the provider was asked {} times "
                            "for its keys",
                            denied, undecided, fetches));
}

// A node that does not keep to its own limit, or its thief.
TEST_CASE("a session that reports unknown keys without end costs two fetches a minute") {
  KeysSite site;
  DrivenProvider provider(Kind::kZitadel, site.setup());
  site.start(provider);
  REQUIRE(wait_until([&] { return text_at(site.source(), "state") == "ok"; }));
  const int64_t before = provider.key_set_requests();
  const uint64_t memory_kib = kib_of(site.stack.registry_pid(), "VmHWM");

  Stack& stack = site.stack;
  const std::string stem = stack.issue("thief", stack.authority(), stack.leaf("node", "thief"));
  const Bytes hello =
      wire::encode_frame(wire::Hello{.versions = {wire::kProtocolVersion}, .user_agent = "thief"});
  RawTlsClient thief{.credential = transport::TlsFiles{stem + ".crt", stem + ".key", {}, {}},
                     .says = hello};
  for (uint64_t i = 0; i < kUnknownKeys; ++i)
    thief.says +=
        wire::encode_frame(wire::UnknownKey{provider.issuer(), fmt::format("no-key-{}", i)});
  thief.says += hello;  // ends the session
  const auto begun = steady_clock::now();
  const auto seconds_since = [&] {
    return std::chrono::duration<double>(steady_clock::now() - begun).count();
  };
  uint64_t reports = 0;
  do {  // the proof goes beyond two floors
    const std::vector<wire::Message> heard =
        messages_in(thief.run(static_cast<uint16_t>(stack.registry_port())));
    REQUIRE_FALSE(heard.empty());
    CHECK(std::holds_alternative<wire::ErrorMessage>(heard.back()));
    reports += kUnknownKeys;
  } while (kIsProof && seconds_since() < 65);
  REQUIRE(wait_until([&] { return provider.key_set_requests() > before; }));
  const double seconds = seconds_since();
  const int64_t fetches = provider.key_set_requests() - before;
  const json::value row = site.source();
  CHECK(number_at(row, "unknown_keys") == static_cast<int64_t>(reports));
  CHECK(static_cast<double>(fetches) <= 1 + seconds / 30);
  const uint64_t grown_mib = (kib_of(stack.registry_pid(), "VmHWM") - memory_kib) >> 10;
  CHECK(grown_mib < 64);
  record_result("reports of unknown keys in sessions of a node",
                fmt::format("{} reports in {:.0f} s, of {} keys", reports, seconds, kUnknownKeys),
                fmt::format("the provider was asked {} times for its keys; the registry grew by {} "
                            "MiB",
                            fetches, grown_mib));
}

}  // namespace notp
