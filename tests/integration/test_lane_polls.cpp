// Security events that are fetched from a transmitter over real HTTP: what is acknowledged and
// when, streams that are made, verified, lost and made again, and transmitters that misbehave.
#include <doctest/doctest.h>

#include "notp-server/lane_inputs/lane_input_limits.hpp"
#include "notp-server/lane_inputs/push_routes.hpp"
#include "notp-server/lane_inputs/source_factory.hpp"
#include "tests/support/lane_inputs/fake_intake.hpp"
#include "tests/support/lane_inputs/transmitter.hpp"
#include "tests/support/process/process.hpp"
#include "tests/support/temporary_folder.hpp"
#include "tests/support/wire/test_pki.hpp"

namespace notp::lane_inputs {
namespace {

using State = lane::SourceState::State;

struct Site {
  Site() { must(write_file(data.path() / "secret", "pass\n", 0600)); }
  ~Site() {
    if (source) source->stop();
  }

  std::string auth() const {
    return fmt::format(
        R"("auth":{{"method":"client_secret_basic","client_id":"notp","token_endpoint":"{}/token",)"
        R"("secret_file":"{}","scope":"ssf.read ssf.manage"}})",
        transmitter.base(), (data.path() / "secret").string());
  }
  std::string entry(const std::string& kind, const std::string& more) const {
    return fmt::format(
        R"({{"name":"login","kind":"{}","issuer":"{}","insecure_loopback":true,{}{}}})", kind,
        transmitter.issuer(), auth(), more);
  }
  void poll() {
    start(entry("set_poll", fmt::format(R"(,"audience":"{}","url":"{}","interval_ms":100)",
                                        kAudience, transmitter.poll_url())));
  }
  void ssf(const std::string& more = R"(,"interval_ms":100)") { start(entry("ssf", more)); }
  void start(const std::string& text) {
    const json::value value = must(parse_json(text));
    source = must(make_source(
        must(load_source(config::Section(value), kTestDomain)),
        {.intake = intake,
         .lane = "tokens",
         .issuer_keys = [keys = transmitter.signer().keys()](std::string_view) { return keys; },
         .unknown_key = [](std::string_view, std::string_view) {},
         .routes = &routes,
         .environment = {},
         .executor = {}}));
    source->start();
  }
  bool is(State state) const {
    return wait_until([&] { return source->state().state == state; });
  }
  bool says(std::string_view text) const {
    return wait_until([&] { return source->state().message.contains(text); });
  }
  bool revokes(size_t count) const {
    return wait_until([&] { return intake.revocations().size() == count; });
  }
  bool is_drained() const {
    return wait_until([&] { return transmitter.waiting() == 0; });
  }

  TemporaryFolder data;
  TestTransmitter transmitter;
  FakeIntake intake;
  PushRoutes routes;
  std::unique_ptr<lane::LaneSource> source;
};

http::Response answer(unsigned status, std::string body, http::Headers headers = {}) {
  http::Response out;
  out.status = status;
  out.headers = std::move(headers);
  out.body = std::move(body);
  return out;
}

TEST_CASE("fetched events are acknowledged after the lane has them, and not before") {
  Site site;
  site.intake.fails(Error{ErrorCode::kIo, "the disk is full", {}});
  site.transmitter.queue("a", site.transmitter.logout("a"));
  site.poll();
  CHECK(site.says("the disk is full"));
  CHECK(site.is(State::kLate));
  const size_t polls = site.transmitter.polls();
  REQUIRE(wait_until([&] { return site.transmitter.polls() >= polls + 3; }));
  CHECK(site.transmitter.waiting() == 1);
  CHECK(site.intake.committed().empty());

  site.intake.fails(std::nullopt);
  CHECK(site.is_drained());
  CHECK(site.is(State::kOk));
  CHECK(site.intake.revocations().size() == 1);

  // A commit that is slow holds the acknowledgement, and nothing is lost.
  site.intake.hold();
  site.transmitter.queue("b", site.transmitter.logout("b", "bo"));
  REQUIRE(wait_until([&] { return site.intake.held() == 1; }));
  CHECK(site.transmitter.waiting() == 1);
  site.intake.release();
  CHECK(site.is_drained());
  CHECK(site.intake.revocations().size() == 2);
}

TEST_CASE("refused events are reported with their code, and the others are taken") {
  Site site;
  TestTransmitter& there = site.transmitter;
  json::object other = there.claims(kCaep + "session-revoked", there.subject("bo"), "wrong-aud");
  other["aud"] = "https://other.example";
  there.queue("wrong-aud", there.signer().sign(other));
  there.queue("wrong-key", SetSigner().sign(there.claims(kCaep + "session-revoked",
                                                         there.subject("bo"), "wrong-key")));
  there.queue("other-name", there.logout("its-own-jti"));
  there.queue("nonsense", "nonsense");
  there.queue("phone",
              there.signer().sign(there.claims(
                  kCaep + "session-revoked",
                  json::object{{"format", "phone_number"}, {"phone_number", "+1"}}, "phone")));
  there.queue("good", there.logout("good"));
  there.queue("ignored", there.signer().sign(there.claims(kCaep + "assurance-level-change",
                                                          there.subject("bo"), "ignored")));
  site.poll();
  CHECK(site.is_drained());
  auto errors = there.errors();
  std::ranges::sort(errors);
  CHECK(errors == std::vector<std::string>{"nonsense invalid_request", "other-name invalid_request",
                                           "phone invalid_request", "wrong-aud invalid_audience",
                                           "wrong-key authentication_failed"});
  CHECK(site.intake.revocations().size() == 1);
  CHECK(site.source->state().refused == 5);
  CHECK(site.source->state().events == 2);
  CHECK(site.is(State::kOk));
}

TEST_CASE("a transmitter that sends the same event again does not have it taken twice") {
  Site site;
  site.transmitter.forget_acks();
  site.transmitter.queue("a", site.transmitter.logout("a"));
  site.poll();
  REQUIRE(wait_until([&] { return site.transmitter.polls() >= 5; }));
  CHECK(site.intake.committed().size() == 1);
}

TEST_CASE("a transmitter that misbehaves is asked again, and loses nothing") {
  Site site;
  std::string many = R"({"sets":{)";
  for (size_t i = 0; i <= kPollSetsMax; ++i)
    many += fmt::format(R"({}"{}":"x")", i == 0 ? "" : ",", i);
  many += "}}";
  // Each of them costs a wait, which grows: two at a time.
  const std::vector<std::vector<http::Response>> rounds = {
      {answer(500, "oops"), answer(200, "[]")},
      {answer(200, many), answer(200, R"({"sets":{"a":7}})")},
      {answer(429, "", {{"Retry-After", "1"}}), answer(302, "", {{"Location", "http://x/"}})},
      {answer(200, R"({"sets":{},"sets":{}})"), answer(204, "")},
  };
  site.poll();
  for (size_t i = 0; i < rounds.size(); ++i) {
    site.transmitter.misbehave(rounds[i]);
    const std::string jti = fmt::format("jti-{}", i);
    site.transmitter.queue(jti, site.transmitter.logout(jti));
    CHECK(site.revokes(i + 1));
    CHECK(site.transmitter.misbehaviours() == 0);
    CHECK(site.is_drained());
  }
  CHECK(site.is(State::kOk));
  site.transmitter.denies(403);
  CHECK(site.says("ssf.read"));
  CHECK(site.is(State::kLate));
}

TEST_CASE("a stream is made, verified and fetched; when it has gone, it is made again") {
  Site site;
  TestTransmitter& there = site.transmitter;
  site.ssf();
  REQUIRE(wait_until([&] { return there.requests("POST /verify") == 1; }));
  const json::object made = there.stream().as_object();
  CHECK(made.at("delivery").at("method") == "urn:ietf:rfc:8936");
  CHECK(made.at("description") == "NOTP lane tokens, source login");
  const json::array& asked = made.at("events_requested").as_array();
  CHECK(std::ranges::find(asked, json::value(kCaep + "session-revoked")) != asked.end());
  CHECK(std::ranges::find(asked, json::value(kCaep + "session-presented")) == asked.end());
  CHECK(site.is(State::kOk));
  CHECK(site.source->state().tells ==
        "session-revoked, credential-change; not: tokens that were revoked (RFC 7009), new tokens");
  CHECK(site.is_drained());  // the verification

  there.queue("a", there.logout("a"));
  CHECK(site.revokes(1));
  CHECK(site.intake.revocations()[0].issuer == there.issuer());

  there.remove_stream();
  there.denies(404);  // also where it was fetched
  REQUIRE(wait_until([&] { return site.source->state().state == State::kLate; }));
  there.denies(0);
  REQUIRE(wait_until([&] { return !there.stream().is_null(); }));
  there.queue("b", there.logout("b", "bo"));
  CHECK(site.revokes(2));
  CHECK(site.is(State::kOk));
  CHECK(there.requests("POST /streams") == 2);
}

TEST_CASE("a stream of this client is used again, with the events that are wanted now") {
  Site site;
  TestTransmitter& there = site.transmitter;
  there.has_stream({{"stream_id", "s-1"},
                    {"iss", there.issuer()},
                    {"aud", kAudience},
                    {"delivery", json::object{{"method", "urn:ietf:rfc:8936"},
                                              {"endpoint_url", there.poll_url()}}},
                    {"events_requested", json::array{kCaep + "session-revoked"}}});
  there.queue("a", there.logout("a"));
  site.ssf();
  CHECK(site.revokes(1));
  CHECK(there.requests("POST /streams") == 0);
  REQUIRE(wait_until([&] { return there.requests("PATCH /streams") == 1; }));
  CHECK(there.stream().at("events_requested").as_array().size() > 1);
}

TEST_CASE("what is wrong with a stream is said: paused, another's, another place, too few scopes") {
  SUBCASE("paused") {
    Site site;
    site.transmitter.has_stream(
        {{"stream_id", "s-1"},
         {"aud", kAudience},
         {"delivery", json::object{{"method", "urn:ietf:rfc:8936"},
                                   {"endpoint_url", site.transmitter.poll_url()}}}});
    site.transmitter.set_status("paused");
    site.ssf();
    CHECK(site.says("paused at the transmitter: maintenance"));
    // It asks to go on.
    CHECK(wait_until([&] { return site.transmitter.status() == "enabled"; }));
  }
  SUBCASE("delivers otherwise") {
    Site site;
    site.transmitter.has_stream(
        {{"stream_id", "s-1"},
         {"aud", kAudience},
         {"delivery", json::object{{"method", "urn:ietf:rfc:8935"},
                                   {"endpoint_url", "https://elsewhere.example/"}}}});
    site.ssf();
    CHECK(site.says("allows no second one"));
  }
  SUBCASE("another host") {
    Site site;
    site.transmitter.has_stream(
        {{"stream_id", "s-1"},
         {"aud", kAudience},
         {"delivery", json::object{{"method", "urn:ietf:rfc:8936"},
                                   {"endpoint_url", "https://evil.example/poll"}}}});
    site.ssf();
    CHECK(site.says("allows no second one"));
    CHECK(site.intake.calls() == 0);
  }
  SUBCASE("another audience") {
    Site site;
    site.ssf(R"(,"audience":"https://other.example")");
    CHECK(site.says("'audience' of the source"));
  }
  SUBCASE("too few scopes") {
    Site site;
    site.transmitter.denies(403);
    site.ssf();
    CHECK(site.says("ssf.manage"));
    CHECK(site.source->state().state == State::kLate);
  }
}

TEST_CASE("a stream that pushes has the place and the header that were configured") {
  Site site;
  const auto header = site.data.path() / "authorization";
  must(write_file(header, "Bearer push-secret\n", 0600));
  site.ssf(fmt::format(
      R"(,"delivery":"push","push_url":"https://registry.example:7445/lane/tokens/sets",)"
      R"("authorization_file":"{}")",
      header.string()));
  REQUIRE(wait_until([&] { return site.transmitter.requests("POST /verify") == 1; }));
  const json::object delivery = site.transmitter.stream().at("delivery").as_object();
  CHECK(delivery.at("method") == "urn:ietf:rfc:8935");
  CHECK(delivery.at("endpoint_url") == "https://registry.example:7445/lane/tokens/sets");
  CHECK(delivery.at("authorization_header") == "Bearer push-secret");
  CHECK(site.is(State::kOk));
  CHECK(site.transmitter.polls() == 0);

  // Pushed as to the listener; the stream's audience counts.
  const auto push = [&](const std::string& token) {
    http::Request request{.method = "POST",
                          .path = "/lane/tokens/sets",
                          .raw_path = "/lane/tokens/sets",
                          .query = {},
                          .headers = {{"Content-Type", "application/secevent+jwt"},
                                      {"Authorization", "Bearer push-secret"}},
                          .body = token,
                          .peer = {}};
    boost::asio::io_context context;
    std::optional<http::Response> response;
    boost::asio::co_spawn(
        context, site.routes.answer(request),
        [&](const std::exception_ptr&, http::Response got) { response = std::move(got); });
    context.run();
    REQUIRE(response);
    return response->status;
  };
  CHECK(push(site.transmitter.logout("a")) == 202);
  CHECK(push(site.transmitter.logout("a")) == 202);
  CHECK(site.revokes(1));
  CHECK(push(SetSigner().sign({{"iss", site.transmitter.issuer()}})) == 400);
}

}  // namespace
}  // namespace notp::lane_inputs
