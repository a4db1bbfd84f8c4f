// Sources that send events over TLS: who may, what is answered, and that nothing is acknowledged
// before the lane has it.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/use_future.hpp>
#include <future>
#include <set>

#include "common/http/client.hpp"
#include "notp-server/lane_inputs/lane_input_limits.hpp"
#include "notp-server/lane_inputs/lane_listener.hpp"
#include "notp-server/lane_inputs/set_taker.hpp"
#include "notp-server/lane_inputs/source_factory.hpp"
#include "tests/support/lane_inputs/fake_intake.hpp"
#include "tests/support/lane_inputs/set_signer.hpp"
#include "tests/support/process/process.hpp"
#include "tests/support/wire/test_pki.hpp"

namespace notp::lane_inputs {
namespace {

const std::string kDelete = R"({"op":"del","token":"2YotnFZFEjr1zCsicMWpAA"})";

TimeMs wall_ms() { return read_clock().wall_ms; }

struct Site {
  Site() {
    pki::LeafOptions own = pki.leaf("registry", "main");
    own.addresses = {"127.0.0.1"};
    server = pki.issue(own);
    listener = must(LaneListener::open({.endpoint = {.address = "127.0.0.1",
                                                     .certificate = server.certificate,
                                                     .private_key = server.private_key,
                                                     .client_authorities = pki.authorities()},
                                        .hosts = {},
                                        .port_file = data.path() / "port"},
                                       routes, nullptr));
  }
  ~Site() {
    for (auto& source : sources) source->stop();
    listener->stop();
  }

  // From the text of its entry in the configuration.
  lane::LaneSource& add(const std::string& entry, const std::string& lane = "tokens") {
    const json::value value = must(parse_json(entry));
    const SourceConfig config = must(load_source(config::Section(value), kTestDomain));
    sources.push_back(must(make_source(
        config, {.intake = intake,
                 .lane = lane,
                 .issuer_keys =
                     [this](std::string_view issuer) { return issuer == kIssuer ? keys : nullptr; },
                 .unknown_key = [this](std::string_view, std::string_view) { ++unknown_keys; },
                 .routes = &routes,
                 .environment = {},
                 .executor = {}})));
    sources.back()->start();
    return *sources.back();
  }
  lane::LaneSource& add_push(const std::string& more = "") {
    return add(
        fmt::format(R"({{"name":"login","kind":"set_push","issuer":"{}","audience":"{}"{}}})",
                    kIssuer, kAudience, more));
  }

  http::Response post(const std::string& path, std::string body, const std::string& type,
                      const std::optional<transport::TlsFiles>& identity,
                      http::Headers headers = {}, std::string method = "POST") {
    http::ClientOptions options{.tls = {.authorities = pki.authorities()}, .proxy = {}};
    if (identity) {
      options.tls.certificate = identity->certificate;
      options.tls.private_key = identity->private_key;
    }
    headers.emplace_back("Content-Type", type);
    return must(
        must(http::Client::open(options))
            .call_blocking({.method = std::move(method),
                            .url = fmt::format("https://127.0.0.1:{}{}", listener->port(), path),
                            .headers = std::move(headers),
                            .body = std::move(body),
                            .deadline_ms = 60'000}));
  }
  http::Response events(std::string body, const std::optional<transport::TlsFiles>& identity,
                        http::Headers headers = {}) {
    return post("/lane/tokens/events", std::move(body), "application/x-ndjson", identity,
                std::move(headers));
  }
  http::Response set(std::string token, http::Headers headers = {}) {
    return post("/lane/tokens/sets", std::move(token), "application/secevent+jwt", std::nullopt,
                std::move(headers));
  }
  transport::TlsFiles source(const std::string& name, std::string_view role = "source") {
    return pki.issue(pki.leaf(role, name));
  }

  TemporaryFolder data;
  TestPki pki;
  transport::TlsFiles server;
  SetSigner signer;
  std::shared_ptr<const jose::KeySet> keys = signer.keys();
  std::atomic<int> unknown_keys = 0;
  FakeIntake intake;
  std::set<std::string> denied;  // URIs; before a request alone
  PushRoutes routes{[this](const std::string& identity) {
    return denied.contains(identity) ? Result<void>(fail(ErrorCode::kRevoked, "it was stolen"))
                                     : Result<void>();
  }};
  std::unique_ptr<LaneListener> listener;
  std::vector<std::unique_ptr<lane::LaneSource>> sources;
};

json::object object_in(const http::Response& response) {
  const auto value = parse_json(response.body);
  REQUIRE_MESSAGE((value && value->is_object()), response.body);
  return value->as_object();
}
std::string code_of(const http::Response& response, const char* member = "code") {
  return std::string(object_in(response).at(member).as_string());
}

std::string logout(const Site& site, const std::string& jti, std::string_view sub = "ana") {
  return site.signer.sign(set_claims(kCaep + "session-revoked", iss_sub(sub), {}, jti, wall_ms()));
}

TEST_CASE("a source with its certificate sends events, and gets the revision after the commit") {
  Site site;
  const lane::LaneSource& source = site.add(R"({"name":"gateway","kind":"http"})");
  const auto gateway = site.source("gateway");
  const auto answer =
      site.events(kDelete + "\n\nnonsense\n" +
                      R"({"op":"add","token":"b","attributes":{"sub":"ana"},"key":"k1"})" + "\n" +
                      R"({"op":"revoke","iss":"https://a","sub":"ana","before":1800000000})" + "\n",
                  gateway);
  CHECK(answer.status == 202);
  const json::object body = object_in(answer);
  CHECK(body.at("revision") == 3);
  REQUIRE(body.at("refused").as_array().size() == 1);
  CHECK(body.at("refused").at(0).at("line") == 3);
  CHECK(body.at("refused").at(0).at("code") == "line.not-json");
  const auto taken = site.intake.committed();
  REQUIRE(taken.size() == 3);
  CHECK(std::get<lane::TokenDeleted>(taken[0].what).id == feed::token_id("2YotnFZFEjr1zCsicMWpAA"));
  CHECK(std::get<lane::Revoked>(taken[2].what).not_before_s == 1'800'000'000);
  const lane::SourceState state = source.state();
  CHECK(state.state == lane::SourceState::State::kOk);
  CHECK(state.events == 3);
  CHECK(state.refused == 1);

  // What the lane refuses of them is told by line.
  site.intake.refuses("k2", {ErrorCode::kLimit, "the lane is full", {}});
  const auto full =
      object_in(site.events(kDelete + "\n" + R"({"op":"add","token":"c","key":"k2"})", gateway));
  CHECK(full.at("refused").at(0).at("line") == 2);
  CHECK(full.at("refused").at(0).at("code") == "limit");
  // Nothing in it is an event.
  const auto none = site.events("nonsense\n", gateway);
  CHECK(none.status == 400);
  CHECK(object_in(none).at("refused").as_array().size() == 1);
}

TEST_CASE("no commit, no acknowledgement: the answer says to try again") {
  Site site;
  const lane::LaneSource& http = site.add(R"({"name":"gateway","kind":"http"})");
  const lane::LaneSource& push = site.add_push();
  const auto gateway = site.source("gateway");
  for (const auto& [error, status] : {std::pair(ErrorCode::kOverloaded, 429U),
                                      {ErrorCode::kUnavailable, 503U},
                                      {ErrorCode::kIo, 503U}}) {
    site.intake.fails(Error{error, "the disk is full", {}});
    const auto events = site.events(kDelete, gateway);
    CHECK(events.status == status);
    CHECK(!http::find_header(events.headers, "Retry-After").empty());
    const auto set = site.set(logout(site, "a"));
    CHECK(set.status == status);
    CHECK(!http::find_header(set.headers, "Retry-After").empty());
  }
  CHECK(http.state().state == lane::SourceState::State::kLate);
  CHECK(push.state().message == "the disk is full");
  CHECK(site.intake.committed().empty());

  site.intake.fails(std::nullopt);
  CHECK(site.events(kDelete, gateway).status == 202);
  CHECK(site.set(logout(site, "a")).status == 202);
  CHECK(http.state().state == lane::SourceState::State::kOk);
  CHECK(push.state().message.empty());

  // While the commit is under way there is no answer.
  site.intake.hold();
  auto answer = std::async(std::launch::async, [&] { return site.set(logout(site, "b")); });
  REQUIRE(wait_until([&] { return site.intake.held() == 1; }));
  CHECK(answer.wait_for(std::chrono::milliseconds(100)) == std::future_status::timeout);
  site.intake.release();
  CHECK(answer.get().status == 202);
}

TEST_CASE("who may not send is refused, and told why") {
  Site site;
  site.add(R"({"name":"gateway","kind":"http","identities":["source/gateway","source/edge-*"]})");
  CHECK(site.events(kDelete, site.source("edge-7")).status == 202);
  const auto nobody = site.events(kDelete, std::nullopt);
  CHECK(nobody.status == 401);
  CHECK(!http::find_header(nobody.headers, "WWW-Authenticate").empty());
  CHECK(site.events(kDelete, site.source("other")).status == 403);
  CHECK(site.events(kDelete, site.source("gateway", "node")).status == 403);
  CHECK(site.events(kDelete, site.source("gateway", "admin")).status == 403);
  pki::LeafOptions two = site.pki.leaf("source", "gateway");
  two.uris.push_back(test_uri("node", "n"));
  CHECK(site.events(kDelete, site.pki.issue(two)).status == 403);
  pki::LeafOptions foreign = site.pki.leaf("source", "gateway");
  foreign.uris = {test_uri("source", "gateway", "other.internal")};
  CHECK(site.events(kDelete, site.pki.issue(foreign)).status == 403);
  pki::LeafOptions expired = site.pki.leaf("source", "gateway");
  expired.validity = pki::Validity::days(wall_ms() - 20LL * 24 * 3600 * 1000, 10);
  const auto late = site.events(kDelete, site.pki.issue(expired));
  CHECK(late.status == 403);
  CHECK(code_of(late) == "certificate_expired");
  TestPki other;
  auto unknown = site.events(kDelete, other.issue(other.leaf("source", "gateway")));
  CHECK(unknown.status == 403);
  CHECK(code_of(unknown) == "certificate_untrusted");
  CHECK(site.intake.committed().size() == 1);

  // A certificate of a good chain whose identity is denied, also with an access token.
  site.denied.insert(test_uri("source", "edge-7"));
  const auto denied = site.events(kDelete, site.source("edge-7"), {{"Authorization", "Bearer x"}});
  CHECK(denied.status == 403);
  CHECK(code_of(denied, "message").contains("stolen"));
  CHECK(site.events(kDelete, site.source("edge-8")).status == 202);
  CHECK(site.intake.committed().size() == 2);

  // Other paths, methods, types and sizes.
  const auto gateway = site.source("gateway");
  const std::string type = "application/x-ndjson";
  CHECK(site.post("/lane/other/events", kDelete, type, gateway).status == 404);
  CHECK(site.post("/lane/tokens/sets", kDelete, type, gateway).status == 404);
  CHECK(site.post("/lane/tokens/events/more", kDelete, type, gateway).status == 404);
  CHECK(site.post("/", kDelete, type, gateway).status == 404);
  CHECK(site.post("/lane/tokens/events", "", type, gateway, {}, "GET").status == 405);
  CHECK(site.post("/lane/tokens/events", kDelete, "text/plain", gateway).status == 415);
  CHECK(site.events(std::string(kEventsBodyBytesMax + 1, '\n'), gateway).status == 413);
  std::string many;
  for (size_t i = 0; i <= kEventLinesMax; ++i) many += "{}\n";
  CHECK(site.events(many, gateway).status == 413);
  CHECK(site.intake.committed().size() == 2);
}

TEST_CASE("an access token of a configured client may send, and no other") {
  Site site;
  site.add(fmt::format(
      R"({{"name":"hook","kind":"http","bearer":{{"issuer":"{}","audience":"lane","clients":["hook"]}}}})",
      kIssuer));
  const auto token = [&](json::object more, const char* typ = "at+jwt") {
    json::object claims{
        {"iss", kIssuer}, {"aud", "lane"}, {"client_id", "hook"}, {"exp", wall_ms() / 1000 + 60}};
    for (const auto& member : more) {
      if (member.value().is_null())
        claims.erase(member.key());
      else
        claims[member.key()] = member.value();
    }
    return site.signer.sign_with({{"kid", "k1"}, {"typ", typ}}, claims);
  };
  const auto send = [&](const std::string& bearer) {
    return site.events(kDelete, std::nullopt, {{"Authorization", "Bearer " + bearer}});
  };
  CHECK(send(token({})).status == 202);
  CHECK(send(token({{"client_id", nullptr}, {"azp", "hook"}}, "JWT")).status == 202);
  CHECK(site.intake.committed().size() == 2);
  for (const auto& [what, bearer] :
       {std::pair("another client", token({{"client_id", "app"}})),
        {"no client", token({{"client_id", nullptr}})},
        {"another audience", token({{"aud", "other"}})},
        {"expired", token({{"exp", wall_ms() / 1000 - 120}})},
        {"no end", token({{"exp", nullptr}})},
        {"bound to a key", token({{"cnf", json::object{{"jkt", "x"}}}})},
        {"a security event", token({}, "secevent+jwt")},
        {"another issuer", token({{"iss", "https://evil.example"}})},
        {"another's key", SetSigner().sign_with({{"kid", "k1"}, {"typ", "at+jwt"}}, {})},
        {"nonsense", std::string("nonsense")}}) {
    INFO(what);
    const auto answer = send(bearer);
    CHECK(answer.status == 401);
    CHECK(code_of(answer) == "authentication_failed");
  }
  CHECK(site.intake.committed().size() == 2);
}

TEST_CASE("of several sources the one that has the token's client gets what it sends") {
  Site site;
  for (const char* name : {"first", "second"})
    site.add(fmt::format(
        R"({{"name":"{0}","kind":"http","bearer":{{"issuer":"{1}","audience":"lane","clients":["{0}"]}}}})",
        name, kIssuer));
  for (const char* name : {"first", "second"}) {
    const std::string token = site.signer.sign_with(
        {{"kid", "k1"}, {"typ", "at+jwt"}},
        {{"iss", kIssuer}, {"aud", "lane"}, {"client_id", name}, {"exp", wall_ms() / 1000 + 60}});
    CHECK(site.events(kDelete, std::nullopt, {{"Authorization", "Bearer " + token}}).status == 202);
  }
  CHECK(site.sources[0]->state().events == 1);
  CHECK(site.sources[1]->state().events == 1);
}

TEST_CASE("an event that comes before the stream is known is asked for again, not refused") {
  FakeIntake intake;
  const SetSigner signer;
  const auto stats = std::make_shared<SourceStats>("tokens", "login", "ssf", "", Contact::kActive);
  SetRules rules = set_rules();
  rules.audiences.clear();
  SetTaker taker(rules,
                 {.intake = intake,
                  .lane = "tokens",
                  .issuer_keys = [&](std::string_view) { return signer.keys(); },
                  .unknown_key = {},
                  .executor = {}},
                 "login", stats);
  const std::string text =
      signer.sign(set_claims(kCaep + "session-revoked", iss_sub("ana"), {}, "a", wall_ms()));
  const auto take = [&] {
    boost::asio::io_context context;
    auto outcomes =
        boost::asio::co_spawn(context, taker.take({read_set(text)}), boost::asio::use_future);
    context.run();
    return outcomes.get().front();
  };
  const SetOutcome early = take();
  CHECK(!early.is_done());
  CHECK(!early.is_refused());
  CHECK(early.error->code == ErrorCode::kUnavailable);
  taker.set_audiences({kAudience});
  CHECK(take().is_done());
  CHECK(intake.revocations().size() == 1);
}

TEST_CASE("pushed security events are taken once, and refused with the codes of RFC 8935") {
  Site site;
  const lane::LaneSource& source = site.add_push();
  const std::string token = logout(site, "jti-1");
  const auto taken = site.set(token);
  CHECK(taken.status == 202);
  CHECK(taken.body.empty());
  // A transmitter that did not see the answer sends it again.
  CHECK(site.set(token).status == 202);
  REQUIRE(site.intake.revocations().size() == 1);
  CHECK(site.intake.revocations()[0].value == "ana");
  // What revokes nothing is acknowledged, too.
  CHECK(site.set(site.signer.sign(set_claims(kCaep + "assurance-level-change", iss_sub("ana"), {},
                                             "jti-2", wall_ms())))
            .status == 202);
  CHECK(site.intake.committed().size() == 1);

  const auto refused = [&](const http::Response& response) {
    CHECK(response.status == 400);
    CHECK(http::find_header(response.headers, "Content-Language") == "en");
    CHECK(!object_in(response).at("description").as_string().empty());
    return code_of(response, "err");
  };
  json::object claims = set_claims(kCaep + "session-revoked", iss_sub("ana"), {}, "x", wall_ms());
  const auto with = [&](const char* member, json::value value) {
    json::object out = claims;
    out[member] = std::move(value);
    return site.signer.sign(out);
  };
  CHECK(refused(site.set("nonsense")) == "invalid_request");
  CHECK(refused(site.set(with("events", json::object()))) == "invalid_request");
  CHECK(refused(site.set(with("iss", "https://evil.example"))) == "invalid_issuer");
  CHECK(refused(site.set(with("aud", "https://other.example"))) == "invalid_audience");
  CHECK(refused(site.set(with("sub_id", iss_sub("ana", "https://idp.example")))) ==
        "access_denied");
  CHECK(refused(site.set(SetSigner().sign(claims))) == "authentication_failed");
  CHECK(refused(site.set(
            SetSigner(jose::Algorithm::kEdDsa, "").sign_with({{"typ", "secevent+jwt"}}, claims))) ==
        "invalid_key");
  CHECK(refused(site.post("/lane/tokens/sets", token, "application/json", std::nullopt)) ==
        "invalid_request");
  CHECK(refused(site.set(std::string(kSetBytesMax + 1, 'x'))) == "invalid_request");
  CHECK(source.state().refused == 5);
  CHECK(source.state().events == 3);
  CHECK(source.state().state == lane::SourceState::State::kOk);
  CHECK(site.intake.committed().size() == 1);
}

TEST_CASE("an event with a key that the issuer has just begun to use is asked for again") {
  Site site;
  site.add_push();
  const SetSigner next(jose::Algorithm::kEs256, "k2");
  const std::string token =
      next.sign(set_claims(kCaep + "session-revoked", iss_sub("ana"), {}, "jti-1", wall_ms()));
  const auto early = site.set(token);
  CHECK(early.status == 503);
  CHECK(!http::find_header(early.headers, "Retry-After").empty());
  CHECK(site.unknown_keys == 1);
  // Anybody can send such a thing: the source is as good as before.
  CHECK(site.sources[0]->state().state == lane::SourceState::State::kOk);
  site.keys = next.keys();
  CHECK(site.set(token).status == 202);
  // Without any keys of the issuer nothing is refused for good.
  site.keys = nullptr;
  CHECK(site.set(token).status == 503);
  CHECK(site.intake.revocations().size() == 1);
}

TEST_CASE("a transmitter that has to show itself") {
  Site site;
  const auto secret = site.data.path() / "authorization";
  must(write_file(secret, "Bearer s3cret\n", 0600));
  site.add_push(fmt::format(R"(,"authorization_file":"{}")", secret.string()));
  CHECK(site.set(logout(site, "a"), {{"Authorization", "Bearer s3cret"}}).status == 202);
  for (const char* value : {"Bearer other", "Bearer s3cret2", "bearer s3cret", ""}) {
    const auto refused = site.set(logout(site, "b"), {{"Authorization", value}});
    CHECK(refused.status == 400);
    CHECK(code_of(refused, "err") == "authentication_failed");
  }
  CHECK(code_of(site.set(logout(site, "b")), "err") == "authentication_failed");
  // A file that others can read is not used: it is our fault, not the transmitter's.
  std::filesystem::permissions(secret, std::filesystem::perms::others_read,
                               std::filesystem::perm_options::add);
  CHECK(site.set(logout(site, "b"), {{"Authorization", "Bearer s3cret"}}).status == 503);
  CHECK(site.intake.revocations().size() == 1);
}

TEST_CASE("a stopped source takes nothing more, also of requests under way") {
  Site site;
  site.add_push();
  site.intake.hold();
  auto answer = std::async(std::launch::async, [&] { return site.set(logout(site, "a")); });
  REQUIRE(wait_until([&] { return site.intake.held() == 1; }));
  site.sources[0]->stop();
  CHECK(site.set(logout(site, "b")).status == 404);
  site.intake.release();
  CHECK(answer.get().status == 202);  // it was committed
  CHECK(site.intake.calls() == 1);
}

TEST_CASE("configurations that cannot work are refused with the key's name") {
  const auto error = [](const std::string& entry) {
    const json::value value = must(parse_json(entry));
    const auto loaded = load_source(config::Section(value), kTestDomain);
    return loaded ? std::string() : loaded.error().message;
  };
  const auto set = [](const std::string& kind, const std::string& more) {
    return fmt::format(R"({{"name":"s","kind":"{}","issuer":"https://a"{}}})", kind, more);
  };
  CHECK(error(set("set_push", R"(,"audience":"x")")).empty());
  CHECK(error(set("set_push", "")).contains("audience is missing"));
  CHECK(error(set("set_push", R"(,"audience":"x","url":"https://a")")).contains("url"));
  CHECK(error(set("http", "")).contains("issuer"));
  CHECK(error(set("set_push", R"(,"audience":"x","events":{"lunch":"ignore"})")).contains("lunch"));
  CHECK(
      error(set("set_push", R"(,"audience":"x","identities":["nobody/x"])")).contains("nobody/x"));
}

}  // namespace
}  // namespace notp::lane_inputs
