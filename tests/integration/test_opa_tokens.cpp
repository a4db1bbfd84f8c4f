// The tokens of a lane in the real OPA and in the embedded engine: one policy, equal answers.
#include <doctest/doctest.h>

#include "common/random.hpp"
#include "notp-client/pdp/authz_module.hpp"
#include "notp-client/pdp/embedded_pdp.hpp"
#include "tests/support/agent/ask_pdp.hpp"
#include "tests/support/agent/opa_host.hpp"
#include "tests/support/jose/status_lists.hpp"

namespace notp {
namespace {

namespace asio = boost::asio;
using feed::Event;
using feed::MarkKind;

const std::string kSecret = pdp::opa_tokens_secret("a secret");
const std::vector<std::string> kProtected{"--authentication=token", "--authorization=basic"};

constexpr const char* kPolicy = R"(package gate

found := data.system.notp.tokens.lookup(input.x)

revoked := data.system.notp.tokens.revoked(input.x)

lane := object.remove(data.system.notp.tokens.lane, ["age_s"])

age := data.system.notp.tokens.lane.age_s

all := data.system.notp.tokens
)";

TestComposition model() { return compose({{"gate", 1, {"gate"}, {{"gate/gate.rego", kPolicy}}}}); }

int64_t wall_s() { return read_clock().wall_ms / 1000; }

std::string token(size_t number) { return fmt::format("token-{}", number); }

feed::TokenRecord alive(int64_t exp_s) {
  return {.iss = "https://i.example", .sub = "alice", .exp_s = exp_s, .iat_s = exp_s - 7'200};
}

// A node's lane with both kinds of PDP, which get the same updates.
struct Lane {
  explicit Lane(pdp::OpaTokensLimits limits = {},
                const std::vector<std::string>& opa_flags = kProtected)
      : host(true, {.tokens = pdp::OpaTokensOptions{.secret = kSecret, .limits = limits}}) {
    readout.lane = "sessions";
    readout.contact = rego::LaneContact::kHeard;
    readout.is_complete = true;
    readout.hard_s = 900;
    host.on_agent([&] {
      host.pdp->on_tokens_lost([this] { give(*host.pdp, table.whole()); });
      embedded = std::make_unique<pdp::EmbeddedPdp>(
          host.context.get_executor(), workers.get_executor(), workers,
          pdp::EmbeddedOptions{.engine = {.worker = test_worker()}});
      embedded->start(embedded_reports.sink());
      embedded->activate(model().active_set, model().load);
    });
    host.activate(model());
    host.start_opa(opa_flags);
    const auto outcome = host.next();
    REQUIRE_MESSAGE(!outcome.rejected, outcome.rejected->message);
    const auto confirmed = embedded_reports.next();
    REQUIRE(confirmed);
    REQUIRE_FALSE(confirmed->rejected);
    if (!opa_flags.empty()) CHECK(wait_until([this] { return is_ready(); }));
  }
  ~Lane() {
    host.on_agent([&] { embedded.reset(); });
  }

  // What has changed, to both.
  void publish_unseen(int64_t heard_ago_ms = 0) {
    readout.trusted_ms = read_clock().wall_ms + trusted_ahead_ms;
    readout.boot_ms = read_clock().boot_ms;
    readout.heard_ms = readout.trusted_ms - heard_ago_ms;
    ++readout.revision;
    host.on_agent([&] {
      table.set_readout(readout);
      const auto update = table.take_update();
      give(*host.pdp, update);
      give(*embedded, update);
    });
  }
  // Returns when both decide with it.
  void publish(int64_t heard_ago_ms = 0) {
    publish_unseen(heard_ago_ms);
    CHECK(wait_until([&] {
      std::string told = host.ask("gate/lane");
      return told.contains(fmt::format("\"revision\":{},", readout.revision)) && open == 0;
    }));
  }
  void give(pdp::TokenSink& sink, lane::TableUpdate update) {
    ++open;
    sink.apply_tokens(std::move(update), [this](const Result<void>& done) {
      --open;
      if (!done) ++failed;
    });
  }
  void apply(const std::vector<Event>& events) {
    host.on_agent([&] { table.apply(events); });
  }
  bool is_ready() { return status().state == pdp::OpaTokensState::kReady && open == 0; }
  pdp::OpaTokensStatus status() {
    pdp::OpaTokensStatus out;
    host.on_agent([&] { out = host.pdp->tokens_status(); });
    return out;
  }
  // The answers of OPA and of the embedded engine; "-": undefined.
  std::pair<std::string, std::string> both(std::string_view path, const Bytes& x) {
    const Bytes input = fmt::format(R"({{"x":{}}})", x);
    const auto text = [](const Result<std::optional<Bytes>>& answer) {
      if (!answer) return answer.error().message;
      if (!*answer) return std::string("-");
      return json::serialize(parse_json(**answer).value());
    };
    return {text(ask(*host.pdp, path, input)), text(ask(*embedded, path, input))};
  }
  // The one answer of both.
  std::string said(std::string_view path, const Bytes& x) {
    const auto [opa, own] = both(path, x);
    CHECK_MESSAGE(opa == own, path, " of ", x, ": OPA ", opa, ", embedded ", own);
    return own;
  }

  asio::thread_pool workers{2};
  lane::TokenTable table{{.with_events = true}};
  rego::LaneReadout readout;
  int64_t trusted_ahead_ms = 0;
  std::atomic<int> open = 0, failed = 0;
  ReportQueue embedded_reports;
  std::unique_ptr<pdp::EmbeddedPdp> embedded;
  OpaHost host;
};

// A call without the agent's secret, as a PEP or an attacker makes it.
unsigned call(const OpaHost& host, std::string method, std::string_view path, Bytes body = {},
              const std::string& secret = {}) {
  http::Call call{.method = std::move(method),
                  .url = fmt::format("{}{}", host.url, path),
                  .body = std::move(body)};
  if (!secret.empty()) call.headers.emplace_back("Authorization", "Bearer " + secret);
  if (call.method == "PATCH")
    call.headers.emplace_back("Content-Type", "application/json-patch+json");
  const auto answer = http::call_blocking(std::move(call));
  REQUIRE_MESSAGE(answer, answer.error().message);
  return answer->status;
}

// A document of tokens as an attacker writes it: it lets one token in.
json::object forged(const std::string& token) {
  return {{"instance", "x"},
          {"lane",
           {{"complete", true},
            {"serves", true},
            {"ages", false},
            {"state", "live"},
            {"name", "x"},
            {"mode", "push"},
            {"revision", 1},
            {"hard_ms", 1},
            {"live_ms", 1},
            {"now_ms", 1}}},
          {"live", {{feed::token_id(token).hex(), {{"exp", wall_s() + 1'000}}}}},
          {"deleted", json::object()},
          {"marks", json::object()},
          {"lists", json::object()}};
}

// Generates what is asked, over few names, so that much of it meets something.
class Asked {
 public:
  explicit Asked(uint64_t seed, int64_t now_s) : random_(seed), now_s_(now_s) {}

  std::vector<Event> marks() {
    std::vector<Event> out;
    for (const auto& [kind, names] : kNames)
      for (const char* issuer : {"https://i.example", "https://j.example"})
        for (size_t i = 0; i < names.size(); i += 2)
          out.push_back(Event::mark(feed::mark_key(kind, issuer, names[i]),
                                    random_.below(6) == 0 ? feed::kAnyIssueTime : mark_s(),
                                    now_s_ + 50'000));
    return out;
  }
  std::vector<Event> tokens(size_t count) {
    std::vector<Event> out;
    for (size_t i = 0; i < count; ++i) {
      const auto id = feed::token_id(token(i));
      if (random_.below(5) == 0) {
        out.push_back(Event::deleted(id, now_s_ + 50'000));
        continue;
      }
      feed::TokenRecord record{.exp_s = now_s_ + (random_.below(4) == 0 ? -100 : 40'000)};
      if (random_.below(8) != 0) record.iss = issuer();
      if (random_.below(4) != 0) record.sub = name(MarkKind::kSubject);
      if (random_.below(2) != 0) record.sid = name(MarkKind::kSession);
      if (random_.below(4) != 0)
        record.iat_s = mark_s() + static_cast<int64_t>(random_.below(3)) - 1;
      if (random_.below(2) != 0) record.client = "till";
      if (random_.below(2) != 0) record.scope = "read write";
      if (random_.below(2) != 0) record.aud = {"https://a.example", "https://b.example"};
      if (random_.below(3) == 0) record.acr = "urn:mfa";
      if (random_.below(3) == 0) record.amr = {"pwd", "otp"};
      if (random_.below(3) == 0) record.auth_time_s = mark_s();
      if (random_.below(3) == 0)
        record.cnf = R"({"jkt":"0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"})";
      out.push_back(Event::token(id, std::move(record)));
    }
    return out;
  }
  std::vector<Event> lists() {
    std::vector<Event> out;
    for (const uint32_t bits : {1U, 2U, 4U, 8U}) {
      Bytes statuses;
      for (int i = 0; i < 5; ++i) statuses.push_back(static_cast<char>(random_.below(256)));
      statuses[1] = 0;
      out.push_back(Event::status_list(feed::token_id(uri(bits)), bits, jose::zlib_of(statuses),
                                       now_s_ + (bits == 4 ? -10 : 50'000)));
    }
    return out;
  }
  // JSON of a token or of claims, or of what is neither.
  Bytes next() {
    if (random_.below(3) == 0) return json_string(token(random_.below(220)));
    if (random_.below(25) == 0)
      return Bytes(std::vector<std::string>{"null", "7", "[]", "true"}[random_.below(4)]);
    json::object claims;
    if (random_.below(10) != 0) claims["iss"] = issuer();
    for (const auto& [kind, names] : kNames)
      if (random_.below(3) == 0) claims[feed::mark_kind_name(kind)] = name(kind);
    if (random_.below(15) == 0) claims["sub"] = 7;
    put_iat(claims);
    if (random_.below(3) == 0) claims["status"] = status();
    return json::serialize(claims);
  }

 private:
  static const std::vector<std::pair<MarkKind, std::vector<std::string>>> kNames;

  int64_t mark_s() const { return now_s_ - 5'000; }
  static std::string uri(uint64_t bits) { return fmt::format("https://i.example/list/{}", bits); }
  std::string issuer() {
    return std::vector<std::string>{"https://i.example", "https://j.example",
                                    "https://k.example"}[random_.below(3)];
  }
  std::string name(MarkKind kind) {
    for (const auto& [each, names] : kNames)
      if (each == kind) return names[random_.below(names.size())];
    return {};
  }
  void put_iat(json::object& claims) {
    switch (random_.below(8)) {
      case 0:
        return;
      case 1:
        claims["iat"] = "soon";
        return;
      case 2:
        claims["iat"] = static_cast<double>(mark_s()) + 0.5;
        return;
      case 3:
        claims["iat"] = now_s_;
        return;
      default:
        claims["iat"] = mark_s() + static_cast<int64_t>(random_.below(3)) - 1;
    }
  }
  json::value status() {
    switch (random_.below(10)) {
      case 0:
        return {{"status_list", "x"}};
      case 1:
        return {{"status_list", {{"uri", uri(1)}}}};
      case 2:
        return "x";
      case 3:
        return {{"other", 1}};
      case 4:
        return {{"status_list", {{"uri", uri(16)}, {"idx", 0}}}};
      case 5:
        return {{"status_list", {{"uri", uri(1)}, {"idx", random_.below(2) == 0 ? 1.5 : 9.0}}}};
      case 6:
        return {{"status_list", {{"uri", uri(8)}, {"idx", -1}}}};
      default:
        return {
            {"status_list", {{"uri", uri(1ULL << random_.below(4))}, {"idx", random_.below(44)}}}};
    }
  }

  SeededRandom random_;
  const int64_t now_s_;
};

const std::vector<std::pair<MarkKind, std::vector<std::string>>> Asked::kNames{
    {MarkKind::kSubject, {"alice", "bob", "carol", "dave"}},
    {MarkKind::kSession, {"s1", "s2", "s3", "s4"}},
    {MarkKind::kTokenNumber, {"j1", "j2", "j3", "j4", "j5", "j6", "j7", "j8"}},
    {MarkKind::kTransaction, {"t1", "t2", "t3", "t4", "t5", "t6", "t7", "t8"}}};

}  // namespace

TEST_CASE("one policy gives the same answers about tokens in both engines") {
  Lane lane;
  Asked asked(20'261'130, wall_s());
  lane.apply(asked.marks());
  lane.apply(asked.lists());
  lane.apply(asked.tokens(200));
  lane.publish();
  std::map<std::string, size_t> counts;
  size_t differ = 0;
  const auto compare = [&](size_t cases, std::string_view phase) {
    for (size_t i = 0; i < cases; ++i) {
      const Bytes x = asked.next();
      for (const char* path : {"gate/found", "gate/revoked"}) {
        const auto [opa, own] = lane.both(path, x);
        if (opa != own) {
          ++differ;
          FAIL_CHECK(phase, ": ", path, " of ", x, ": OPA ", opa, ", embedded ", own);
        }
        ++counts[fmt::format("{} {} {}", phase, path, own.starts_with('{') ? "{}" : own)];
      }
    }
    const auto [opa, own] = lane.both("gate/lane", "1");
    CHECK_MESSAGE(opa == own, phase, ": OPA ", opa, ", embedded ", own);
    MESSAGE(phase, ": ", own);
  };
  compare(500, "live");
  // Beyond its terms: nothing counts, or everything still does.
  lane.publish(901'000);
  compare(60, "stale, deny");
  lane.readout.serves = true;
  lane.publish(901'000);
  compare(120, "stale, serve");
  lane.readout.serves = false;
  lane.publish(40'000);
  compare(40, "lagging");
  lane.readout.is_complete = false;
  lane.publish();
  compare(40, "not complete");
  lane.readout.is_complete = true;
  lane.readout.contact = rego::LaneContact::kDenied;
  lane.publish();
  compare(40, "denied");
  for (const auto& [what, count] : counts) MESSAGE(what, ": ", count);
  MESSAGE(differ, " of ", 2 * (500 + 60 + 120 + 40 + 40 + 40), " answers differ");
  // Each kind of answer was met.
  CHECK(counts["live gate/found {}"] > 20);
  CHECK(counts["live gate/found -"] > 20);
  CHECK(counts["live gate/revoked true"] > 50);
  CHECK(counts["live gate/revoked false"] > 50);
  CHECK(counts["stale, deny gate/found {}"] == 0);
  CHECK(counts["stale, deny gate/revoked false"] == 0);
  CHECK(counts["stale, serve gate/found {}"] > 0);
  CHECK(counts["stale, serve gate/revoked false"] > 0);
  CHECK(counts["not complete gate/revoked false"] == 0);
  CHECK(lane.failed.load() == 0);
}

TEST_CASE("tokens come, change, are revoked and end in both engines") {
  Lane lane;
  const int64_t now_s = wall_s();
  const auto found = [&](size_t i) { return lane.said("gate/found", json_string(token(i))); };
  lane.publish();
  CHECK(found(1) == "-");
  CHECK(lane.said("gate/revoked", json_string(token(1))) == "false");
  lane.apply({Event::token(feed::token_id(token(1)), alive(now_s + 1'000)),
              Event::token(feed::token_id(token(2)), alive(now_s + 1'000))});
  lane.publish();
  CHECK(found(1).contains("alice"));
  lane.apply({Event::deleted(feed::token_id(token(1)), now_s + 1'000)});
  lane.publish();
  CHECK(found(1) == "-");
  CHECK(found(2).contains("alice"));
  CHECK(lane.said("gate/revoked", json_string(token(1))) == "true");

  // A clock that was set back revives nothing.
  lane.trusted_ahead_ms = 1'001'000;
  lane.publish();
  CHECK(found(2) == "-");
  lane.trusted_ahead_ms = 0;
  lane.publish();
  CHECK(found(2).contains("alice"));

  lane.apply({Event::mark(feed::mark_key(MarkKind::kSubject, "https://i.example", "alice"),
                          now_s - 6'200, now_s + 9'000)});
  lane.publish();
  CHECK(found(2) == "-");
  const auto revoked = [&](std::string_view more) {
    return lane.said("gate/revoked",
                     fmt::format(R"({{"iss":"https://i.example","sub":"alice"{}}})", more));
  };
  CHECK(revoked(fmt::format(R"(,"iat":{})", now_s - 6'201)) == "true");
  CHECK(revoked(fmt::format(R"(,"iat":{})", now_s - 6'200)) == "true");
  CHECK(revoked(fmt::format(R"(,"iat":{}.9)", now_s - 6'200)) == "true");
  CHECK(revoked(fmt::format(R"(,"iat":{})", now_s - 6'199)) == "false");
  CHECK(revoked("") == "true");  // who does not say when it was issued is revoked by any mark
  CHECK(revoked(R"(,"iat":"yesterday")") == "true");

  // What has ended leaves OPA; the package holds the same in both.
  std::vector<Event> many;
  for (size_t i = 3; i < 10'000; ++i)
    many.push_back(Event::token(feed::token_id(token(i)), alive(now_s + 1'000)));
  lane.apply(many);
  const TimeMs begun_ms = read_clock().boot_ms;
  lane.publish();
  MESSAGE("9,997 tokens to both in ", read_clock().boot_ms - begun_ms, " ms");
  CHECK(lane.status().tokens == 9'998);
  for (int i = 0; i < 64; ++i)  // some shards at a time
    lane.host.on_agent([&] { lane.table.expire(now_s + 20'000); });
  lane.publish();
  CHECK(call(lane.host, "GET", "/v1/data/tokens/live", {}, kSecret) == 200);
  CHECK(lane.table.tokens() < 1'000);  // what a shard has beside its file may stay
  CHECK(lane.status().tokens == lane.table.tokens());
  CHECK(lane.said("gate/all", "1") == lane.said("system/notp/tokens", "1"));
  CHECK(lane.said("tokens/lane", "1") == "-");
  CHECK(lane.said("tokens", "1") == "-");
  CHECK(lane.failed.load() == 0);
}

TEST_CASE("an OPA that was started again gets its tokens again") {
  Lane lane;
  std::vector<Event> events;
  for (size_t i = 0; i < 1'000; ++i)
    events.push_back(Event::token(feed::token_id(token(i)), alive(wall_s() + 1'000)));
  lane.apply(events);
  lane.publish();
  CHECK(lane.status().tokens == 1'000);
  lane.host.start_opa(kProtected);
  CHECK(wait_until([&] {
    const auto answer = ask(*lane.host.pdp, "gate/found", R"({"x":"token-999"})");
    return answer && *answer;
  }));
  CHECK(wait_until([&] { return lane.is_ready(); }));
  CHECK(lane.status().tokens == 1'000);
  lane.publish();
  CHECK(lane.said("gate/found", json_string(token(0))).contains("alice"));
}

TEST_CASE("an OPA that lets anybody in gets no token, and the status says what to do") {
  Lane lane({}, {});
  lane.apply({Event::token(feed::token_id(token(1)), alive(wall_s() + 1'000))});
  lane.host.on_agent([&] {
    lane.table.set_readout(lane.readout);
    lane.give(*lane.host.pdp, lane.table.whole());
  });
  CHECK(wait_until([&] { return lane.status().state == pdp::OpaTokensState::kUnprotected; }));
  CHECK(lane.status().finding.contains("--authorization=basic"));
  CHECK(lane.status().finding.contains("opa-config"));
  CHECK(lane.host.ask("tokens") == "{}");
  CHECK(lane.host.ask("gate/found", R"({"x":"token-1"})") == "{}");
  CHECK(lane.host.ask("gate/revoked", R"({"x":"token-1"})") == R"({"result":true})");
  CHECK(wait_until([&] { return lane.failed > 0; }));
  // Nor does it believe who writes them in the agent's place, with all that it shows to anybody.
  const auto believes = [&] {
    return lane.host.ask("gate/found", R"({"x":"token-1"})") != "{}" ||
           lane.host.ask("gate/revoked", R"({"x":"token-1"})") != R"({"result":true})" ||
           !lane.host.ask("gate/lane").contains(R"("state":"unknown")");
  };
  const auto forge = [&](const json::value& proof) {
    json::object document = forged(token(1));
    if (!proof.is_null()) document["proof"] = proof;
    REQUIRE(call(lane.host, "PUT", "/v1/data/tokens", json::serialize(document)) == 204);
    return believes();
  };
  const auto policies = http::call_blocking({.url = lane.host.url + "/v1/policies"});
  REQUIRE(policies);
  constexpr std::string_view kShown = "crypto.sha256(proof) == ";
  const size_t at = policies->body.find(kShown);
  REQUIRE(at != Bytes::npos);
  const size_t begin = policies->body.find_first_of("0123456789abcdef", at + kShown.size());
  const std::string shown = policies->body.substr(begin, 2 * Hash::kSize);
  CHECK(shown.find_first_not_of("0123456789abcdef") == std::string::npos);
  CHECK_FALSE(forge({}));
  CHECK_FALSE(forge(json::value(shown)));
  CHECK_FALSE(forge(json::array{json::value(shown)}));
  // Started as it should be, it gets them.
  lane.host.start_opa(kProtected);
  CHECK(wait_until([&] { return lane.is_ready(); }));
  lane.publish();
  CHECK(lane.host.ask("gate/found", R"({"x":"token-1"})").contains("alice"));
}

TEST_CASE(
    "an OPA that is started again without protection does not believe who writes its tokens") {
  Lane lane;
  lane.apply({Event::deleted(feed::token_id(token(1)), wall_s() + 1'000)});
  lane.publish();
  CHECK(lane.host.ask("gate/revoked", R"({"x":"token-1"})") == R"({"result":true})");
  lane.host.start_opa();
  const Bytes document = json::serialize(forged(token(1)));
  for (int i = 0; i < 20; ++i) {
    CHECK(call(lane.host, "PUT", "/v1/data/tokens", document) == 204);
    CHECK(lane.host.ask("gate/found", R"({"x":"token-1"})") == "{}");
    lane.publish_unseen();
  }
  CHECK(wait_until([&] { return lane.status().state == pdp::OpaTokensState::kUnprotected; }));
  const auto found = http::call_blocking({.url = lane.host.url + "/v1/data/tokens"});
  REQUIRE(found);
  CHECK_FALSE(found->body.contains("proof"));
  CHECK(lane.host.ask("gate/found", R"({"x":"token-1"})") == "{}");
}

TEST_CASE("an OPA of a node without a lane finds no token, whoever writes data.tokens") {
  OpaHost host(true);
  host.activate(compose({{"gate", 1, {"gate"}, {{"gate/gate.rego", kPolicy}}}}));
  host.start_opa();
  const auto outcome = host.next();
  REQUIRE_MESSAGE(!outcome.rejected, outcome.rejected->message);
  REQUIRE(call(host, "PUT", "/v1/data/tokens", json::serialize(forged(token(1)))) == 204);
  CHECK(host.ask("gate/found", R"({"x":"token-1"})") == "{}");
  CHECK(host.ask("gate/revoked", R"({"x":"token-1"})") == R"({"result":true})");
  CHECK(host.ask("gate/lane").contains(R"("state":"unknown")"));
}

TEST_CASE("without the agent's secret an OPA with a lane decides, and does nothing else") {
  Lane lane;
  lane.publish();
  OpaHost& host = lane.host;
  // What is let in.
  CHECK(call(host, "POST", "/v1/data/gate/lane", "{}") == 200);
  CHECK(call(host, "GET", "/v1/data/gate/lane") == 200);
  CHECK(call(host, "GET", "/v1/data/gate/one%20name") == 200);
  CHECK(call(host, "POST", "/v0/data/gate/lane", "{}") == 200);
  CHECK(call(host, "POST", "/", "{}") == 404);  // there is no default decision
  for (const char* path : {"/health", "/health?bundles", "/metrics", "/v1/status"})
    CHECK(call(host, "GET", path) == 200);
  CHECK(call(host, "GET", "/v1/data/tokens/lane", {}, kSecret) == 200);
  // What is not: however it is written.
  for (const char* path :
       {"/v1/data", "/v1/data?pretty", "/v0/data", "/v1/data/tokens", "/v1/data/tokens/lane",
        "/v1/data//tokens/lane", "/v1/data/%74okens", "/v1/data/%2574okens/lane",
        "/v1/data/tokens%2Flane", "/v1/data/gate%2F..%2Ftokens", "/v1//data/tokens",
        "//v1/data/tokens", "/v0/data/tokens", "/v1/query", "/v1/compile", "/v1/policies",
        "/v1/config"})
    for (const char* method : {"GET", "POST", "PUT", "PATCH", "DELETE"}) {
      CAPTURE(method);
      CAPTURE(path);
      CHECK(call(host, method, path, "[]") == 401);
      CHECK(call(host, method, path, "[]", "a secret") == 401);
    }
  for (const char* method : {"PUT", "PATCH", "DELETE"})
    CHECK(call(host, method, "/v1/data/gate/x", "[]") == 401);
  // The secret is for tokens alone.
  CHECK(call(host, "PUT", "/v1/policies/x", "package x", kSecret) == 401);
  CHECK(call(host, "PATCH", "/v1/data", "[]", kSecret) == 401);
  CHECK(call(host, "DELETE", "/v1/data/tokens", {}, kSecret) == 401);
  CHECK(call(host, "POST", "/v1/query", R"({"query":"data.tokens"})", kSecret) == 401);
  // Nor does the agent hand it on.
  CHECK(ask(*host.pdp, "tokens/lane", "").value() == std::nullopt);
  CHECK(ask(*host.pdp, "", "").error().code == ErrorCode::kMessage);
}

TEST_CASE("more tokens than an OPA may have are refused, revocations are not") {
  Lane lane({.tokens_max = 150});
  std::vector<Event> events;
  for (size_t i = 0; i < 200; ++i)
    events.push_back(Event::token(feed::token_id(token(i)), alive(wall_s() + 1'000)));
  for (size_t i = 1'000; i < 1'300; ++i)
    events.push_back(Event::deleted(feed::token_id(token(i)), wall_s() + 1'000));
  lane.apply(events);
  lane.publish();
  pdp::OpaTokensStatus status = lane.status();
  CHECK(status.tokens == 150);
  CHECK(status.refused == 50);
  CHECK(status.finding.contains("pdp.opa.tokens_max"));
  CHECK(lane.host.ask("gate/revoked", R"({"x":"token-1299"})") == R"({"result":true})");
  // When there is room, all that is left comes.
  events.clear();
  for (size_t i = 0; i < 60; ++i)
    events.push_back(Event::deleted(feed::token_id(token(i)), wall_s() + 1'000));
  lane.apply(events);
  lane.publish();
  CHECK(wait_until([&] { return lane.status().refused == 0 && lane.open == 0; }));
  CHECK(lane.status().tokens == 140);
  CHECK(lane.status().finding.empty());
  for (size_t i = 60; i < 200; ++i)
    CHECK(lane.host.ask("gate/found", fmt::format(R"({{"x":"{}"}})", token(i))).contains("alice"));
}

}  // namespace notp
