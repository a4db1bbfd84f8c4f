// Streams of the Shared Signals Framework: which documents are believed, and what follows from
// answers and time.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <algorithm>

#include "notp-server/lane_inputs/lane_input_limits.hpp"
#include "notp-server/lane_inputs/ssf_core.hpp"

namespace notp::lane_inputs {
namespace {

const std::string kIssuer = "https://login.example/realms/shop";
const std::string kType = "https://schemas.openid.net/secevent/caep/event-type/session-revoked";

TransmitterRules rules(bool is_push = false) {
  return {.issuer = kIssuer,
          .hosts = {"events.example"},
          .insecure_loopback = false,
          .is_push = is_push,
          .push_url = is_push ? "https://registry.example/lane/tokens/sets" : "",
          .events = {kType}};
}

std::string metadata(json::object more = {}) {
  json::object out{
      {"issuer", kIssuer},
      {"configuration_endpoint", "https://login.example/streams"},
      {"status_endpoint", "https://events.example/status"},
      {"verification_endpoint", "https://LOGIN.example/verify"},
      {"delivery_methods_supported", json::array{"urn:ietf:rfc:8935", "urn:ietf:rfc:8936"}}};
  for (const auto& member : more) {
    if (member.value().is_null())
      out.erase(member.key());
    else
      out[member.key()] = member.value();
  }
  return json::serialize(out);
}
json::object stream(json::object more = {}) {
  json::object out{{"stream_id", "s/1"},
                   {"iss", kIssuer},
                   {"aud", "https://registry.example"},
                   {"delivery", json::object{{"method", "urn:ietf:rfc:8936"},
                                             {"endpoint_url", "https://login.example/poll"}}},
                   {"events_requested", json::array{kType}}};
  for (const auto& member : more) {
    if (member.value().is_null())
      out.erase(member.key());
    else
      out[member.key()] = member.value();
  }
  return out;
}

TEST_CASE("metadata is looked for where the standard and Keycloak have it") {
  CHECK(transmitter_urls("https://tr.example") ==
        std::vector<std::string>{"https://tr.example/.well-known/ssf-configuration"});
  CHECK(transmitter_urls("https://tr.example/a/b") ==
        std::vector<std::string>{"https://tr.example/.well-known/ssf-configuration/a/b",
                                 "https://tr.example/a/b/.well-known/ssf-configuration"});
  CHECK(transmitter_urls("https://tr.example/a/").back() ==
        "https://tr.example/a/.well-known/ssf-configuration");
}

TEST_CASE(
    "documents of another issuer, or that would take the access token elsewhere, are refused") {
  const auto good = read_transmitter(metadata(), rules());
  REQUIRE(good);
  CHECK(good->configuration_endpoint == "https://login.example/streams");
  CHECK(!good->adds_subjects);
  CHECK(read_transmitter(metadata({{"default_subjects", "NONE"}}), rules())->adds_subjects);
  CHECK(
      read_transmitter(metadata({{"status_endpoint", nullptr}}), rules())->status_endpoint.empty());
  const std::pair<const char*, std::string> hostile[] = {
      {"no issuer", metadata({{"issuer", nullptr}})},
      {"a slash more", metadata({{"issuer", kIssuer + "/"}})},
      {"no place for streams", metadata({{"configuration_endpoint", nullptr}})},
      {"not https", metadata({{"configuration_endpoint", "http://login.example/streams"}})},
      {"another host", metadata({{"configuration_endpoint", "https://evil.example/streams"}})},
      {"another host for the status", metadata({{"status_endpoint", "https://evil.example/s"}})},
      {"a host that only begins so",
       metadata({{"verification_endpoint", "https://login.example.evil.example/v"}})},
      {"user information",
       metadata({{"configuration_endpoint", "https://login.example@evil.example/"}})},
      {"not a URL", metadata({{"configuration_endpoint", "streams"}})},
      {"no poll", metadata({{"delivery_methods_supported", json::array{"urn:ietf:rfc:8935"}}})},
      {"twice", R"({"issuer":"x",)" + metadata().substr(1)},
      {"an array", "[]"},
      {"nothing", ""}};
  for (const auto& [what, document] : hostile) {
    INFO(what);
    const auto read = read_transmitter(document, rules());
    REQUIRE(!read);
    CHECK(read.error().code == ErrorCode::kMessage);
  }
  for (const auto& [what, document] :
       {std::pair("no id", stream({{"stream_id", nullptr}})),
        {"another issuer", stream({{"iss", "https://evil.example"}})},
        {"no delivery", stream({{"delivery", nullptr}})},
        {"another method", stream({{"delivery", json::object{{"method", "smoke"}}}})},
        {"another host",
         stream({{"delivery", json::object{{"method", "urn:ietf:rfc:8936"},
                                           {"endpoint_url", "https://evil.example/poll"}}}})},
        {"no place", stream({{"delivery", json::object{{"method", "urn:ietf:rfc:8936"}}}})}}) {
    INFO(what);
    CHECK(!read_stream(json::serialize(document), rules()));
    // Among others it does no harm.
    CHECK(read_streams(json::serialize(json::array{document, stream()}), rules())->size() == 1);
  }
}

// A transmitter by hand.
struct Conversation {
  explicit Conversation(bool is_push = false) : core(rules(is_push), "", "test", random, now_ms) {}

  SsfOrder next() {
    REQUIRE(core.next_deadline() != kNever);
    now_ms = std::max(now_ms, core.next_deadline());
    return core.begin("", now_ms);
  }
  // "GET https://…" of the next order, which is answered so.
  std::string answers(unsigned status, std::string body = "") {
    const SsfOrder order = next();
    http::Response response;
    response.status = status;
    response.body = std::move(body);
    last = order.call;
    core.answered(response, now_ms);
    return order.call.method + " " + order.call.url;
  }
  std::string fails() {
    const SsfOrder order = next();
    core.answered(fail(ErrorCode::kUnavailable, "no connection"), now_ms);
    return order.call.method + " " + order.call.url;
  }
  std::string state() const {
    return std::string(parse_json(last.body).value().at("state").as_string());
  }
  void verified(const std::string& state) {
    SecurityEvent event;
    event.effect = EventEffect::kVerification;
    event.state = state;
    core.on_event(event, now_ms);
  }
  // Up to a stream whose verification was asked for.
  void begin() {
    answers(200, metadata());
    answers(200, json::serialize(json::array{}));
    json::object made = stream();
    if (is_push())
      made["delivery"] =
          json::object{{"method", "urn:ietf:rfc:8935"},
                       {"endpoint_url", "https://registry.example/lane/tokens/sets"}};
    answers(201, json::serialize(made));
    answers(200, R"({"stream_id":"s/1","status":"enabled"})");
    CHECK(answers(204) == "POST https://LOGIN.example/verify");
  }
  bool is_push() const { return push; }

  SeededRandom random{7};
  TimeMs now_ms = 1'000;
  bool push = false;
  SsfCore core;
  http::Call last;
};

TEST_CASE("a stream is made in order, then verified and watched") {
  Conversation talk;
  CHECK(talk.next().is_public);
  talk.core.answered(fail(ErrorCode::kUnavailable, "x"), talk.now_ms);
  CHECK(talk.core.trouble()->message == "x");
  CHECK(talk.answers(404) == "GET https://login.example/.well-known/ssf-configuration/realms/shop");
  CHECK(talk.answers(200, metadata()) ==
        "GET https://login.example/realms/shop/.well-known/ssf-configuration");
  CHECK(talk.answers(200, "[]") == "GET https://login.example/streams");
  CHECK(talk.answers(201, json::serialize(stream())) == "POST https://login.example/streams");
  REQUIRE(talk.core.stream() != nullptr);
  CHECK(talk.core.generation() == 1);
  CHECK(!talk.core.trouble());
  CHECK(talk.answers(200, R"({"status":"enabled"})") ==
        "GET https://events.example/status?stream_id=s%2F1");
  CHECK(talk.answers(204) == "POST https://LOGIN.example/verify");
  const TimeMs asked_ms = talk.now_ms;
  talk.verified("another state");
  CHECK(!talk.core.is_verified());
  talk.verified(talk.state());
  CHECK(talk.core.is_verified());
  // The status every minute, and another verification after a while.
  std::vector<std::string> orders;
  while (talk.now_ms < asked_ms + kVerifyAgainMs)
    orders.push_back(talk.answers(200, R"({"status":"enabled"})"));
  CHECK(std::ranges::count(orders, "POST https://LOGIN.example/verify") == 1);
  CHECK(std::ranges::count(orders, "GET https://events.example/status?stream_id=s%2F1") >= 8);
  CHECK(talk.core.generation() == 1);
}

TEST_CASE("a verification that does not come is said, and tried again") {
  Conversation talk;
  talk.begin();
  const TimeMs asked_ms = talk.now_ms;
  CHECK(talk.answers(200, R"({"status":"enabled"})").starts_with("GET https://events.example"));
  CHECK(talk.now_ms == asked_ms + kVerificationMs);
  REQUIRE(talk.core.trouble());
  CHECK(talk.core.trouble()->message.contains("verification"));
  std::string order;
  for (int i = 0; i < 3 && !order.starts_with("POST"); ++i)
    order = talk.answers(200, R"({"status":"enabled"})");
  CHECK(order == "POST https://LOGIN.example/verify");
  CHECK(talk.core.trouble());
  talk.verified(talk.state());
  CHECK(!talk.core.trouble());
}

TEST_CASE("a transmitter that is asked too often is left alone, which is no trouble") {
  Conversation talk;
  talk.answers(200, metadata());
  talk.answers(200, json::serialize(json::array{stream()}));
  talk.answers(200, R"({"status":"enabled"})");
  const TimeMs before_ms = talk.now_ms;
  CHECK(talk.answers(429) == "POST https://LOGIN.example/verify");
  CHECK(!talk.core.trouble());
  CHECK(talk.core.next_deadline() >= before_ms + kStreamCheckMs);
}

TEST_CASE("a stream that has gone, wherever that shows, is made again; failures wait longer") {
  Conversation talk;
  talk.begin();
  talk.verified(talk.state());
  CHECK(talk.answers(404).starts_with("GET https://events.example"));
  CHECK(talk.core.stream() == nullptr);
  CHECK(talk.core.trouble());
  CHECK(talk.core.next_deadline() > talk.now_ms);
  CHECK(talk.answers(200, "[]") == "GET https://login.example/streams");
  TimeMs waited = 0;
  for (int i = 0; i < 12; ++i) {
    // A POST that is not answered may have made one: it is looked for first.
    const TimeMs before_ms = talk.now_ms;
    if (talk.fails().starts_with("GET")) waited = std::max(waited, talk.now_ms - before_ms);
    CHECK(talk.now_ms - before_ms <= kPollRetryMsMax);
  }
  CHECK(talk.core.trouble()->message == "no connection");

  Conversation polled;
  polled.begin();
  polled.core.stream_gone(polled.now_ms);
  CHECK(polled.core.stream() == nullptr);
  CHECK(polled.answers(200, json::serialize(json::array{stream()})) ==
        "GET https://login.example/streams");
  CHECK(polled.core.generation() == 2);
}

TEST_CASE("a paused stream is asked to go on, and what the transmitter says of it is looked at") {
  Conversation talk;
  talk.begin();
  talk.verified(talk.state());
  SecurityEvent updated;
  updated.effect = EventEffect::kStreamUpdated;
  talk.core.on_event(updated, talk.now_ms);
  CHECK(talk.core.next_deadline() == talk.now_ms);
  talk.answers(200, R"({"status":"disabled","reason":"too many errors"})");
  CHECK(talk.core.trouble()->message.contains("disabled at the transmitter: too many errors"));
  CHECK(talk.answers(200, R"({"status":"enabled"})") == "POST https://events.example/status");
  CHECK(parse_json(talk.last.body).value() ==
        json::value{{"stream_id", "s/1"}, {"status", "enabled"}});
  CHECK(talk.core.trouble());
  talk.answers(200, R"({"status":"enabled"})");
  CHECK(!talk.core.trouble());
}

}  // namespace
}  // namespace notp::lane_inputs
