// Feeding OPA: the state machine with scripted requests and statuses, then the real program.
#include <doctest/doctest.h>

#include <boost/asio.hpp>
#include <cstdlib>
#include <future>
#include <thread>

#include "common/files.hpp"
#include "common/http/client.hpp"
#include "common/http/server.hpp"
#include "notp-client/pdp/opa_feed.hpp"
#include "notp-client/pdp/opa_pdp.hpp"
#include "tests/support/compositions.hpp"
#include "tests/support/process.hpp"
#include "tests/support/report_queue.hpp"
#include "tests/support/temporary_folder.hpp"

namespace notp {
namespace {

namespace asio = boost::asio;

TestLedger payments(uint64_t version, const Bytes& rule) {
  return {"payments",
          version,
          {"payments"},
          {{"manifest.json", "{}"},
           {"payments/allow.rego", rule},
           {"payments/allow_test.rego", "package payments\n\nthis does not even parse"},
           {"payments/limits/data.json", "{\"max\": 100}"}}};
}

Bytes rule(uint64_t number) {
  return fmt::format(
      "package payments\n\nallow if input.amount <= data.payments.limits.max\n\nnumber := {}\n",
      number);
}

OpaBundlePtr bundle_of(uint64_t version) {
  const auto release = compose({payments(version, rule(version))});
  auto bundle = build_opa_bundle(release.composition, release.load);
  REQUIRE(bundle);
  return *bundle;
}

struct StatusFields {
  std::string active;        // revision
  std::string error;         // message of an activation that failed
  std::string last_request;  // distinguishes attempts
  std::string http_code = "";
  std::string label = "process-1";
};

json::value status_of(const StatusFields& fields) {
  json::object bundle{{"name", "notp"}, {"last_request", fields.last_request}};
  if (!fields.active.empty()) bundle["active_revision"] = fields.active;
  if (!fields.error.empty()) {
    bundle["code"] = "bundle_error";
    bundle["message"] = fields.error;
    if (!fields.http_code.empty()) bundle["http_code"] = fields.http_code;
  }
  return json::object{{"labels", {{"id", fields.label}}}, {"bundles", {{"notp", bundle}}}};
}

}  // namespace

TEST_CASE("a bundle is the same bytes for the same releases, and another for another") {
  CHECK(bundle_of(1)->etag == bundle_of(1)->etag);
  CHECK(*bundle_of(1)->body == *bundle_of(1)->body);
  CHECK(bundle_of(1)->etag != bundle_of(2)->etag);
  CHECK(bundle_of(1)->revision == "100000000000/payments@1");
}

TEST_CASE("gzip with a lie about its size stays within the limit") {
  const auto packed = bundle_of(1)->body;
  CHECK(gunzip(*packed, 1 << 20).value().find("\"revision\"") != Bytes::npos);
  CHECK(gunzip(*packed, 100).error().code == ErrorCode::kLimit);
  CHECK(gunzip(ByteView(*packed).substr(0, 20), 1 << 20).error().code == ErrorCode::kMessage);
  CHECK(gunzip("{}", 1 << 20).has_value() == false);
}

TEST_CASE("a bundle is active when the status says so, not when it was fetched") {
  OpaFeed feed;
  const auto one = bundle_of(1);
  CHECK_FALSE(feed.on_request("opa", "").bundle);
  CHECK_FALSE(feed.offer(one));
  CHECK(feed.on_request("opa", "").bundle == one);
  CHECK(
      feed.on_status("opa", status_of({.active = "", .error = "", .last_request = "t0"})).empty());
  const auto held = feed.on_request("opa", one->etag);
  CHECK_FALSE(held.bundle);
  const auto outcomes = feed.on_status(
      "opa", status_of({.active = one->revision, .error = "", .last_request = "t1"}));
  REQUIRE(outcomes.size() == 1);
  CHECK(outcomes[0].composition == one->composition);
  CHECK_FALSE(outcomes[0].rejected);
  CHECK(
      feed.on_status("opa", status_of({.active = one->revision, .error = "", .last_request = "t2"}))
          .empty());
  CHECK_FALSE(feed.on_request("opa", one->etag).at_once);
  // The same word again is asked for: it is known.
  CHECK(feed.offer(one).has_value());
}

TEST_CASE("an OPA that has the bundle already is made to say so at once") {
  OpaFeed feed;
  const auto one = bundle_of(1);
  feed.offer(one);
  CHECK(feed.on_request("opa", one->etag).at_once);
  CHECK_FALSE(feed.on_request("opa", one->etag).at_once);  // but not in a circle
  CHECK(
      feed.on_status("opa", status_of({.active = one->revision, .error = "", .last_request = "t"}))
          .size() == 1);
}

TEST_CASE("only the first tag of a request is what OPA has") {
  OpaFeed feed;
  const auto one = bundle_of(1), two = bundle_of(2);
  feed.offer(one);
  CHECK(feed.on_request("opa", fmt::format("{}, {}", two->etag, one->etag)).bundle == one);
  CHECK_FALSE(feed.on_request("opa", fmt::format("{}, {}", one->etag, two->etag)).bundle);
}

TEST_CASE("two failures of one refused bundle are not held against the next one") {
  OpaFeed feed;
  const auto bad = bundle_of(2), next = bundle_of(3);
  feed.offer(bad);
  CHECK(feed.on_request("opa", "").bundle == bad);
  // OPA asks again at once, before its status about the first attempt has come.
  CHECK(feed.on_request("opa", "").bundle == bad);
  const auto failed = [&](const char* request) {
    return feed.on_status("opa",
                          status_of({.active = "", .error = "rego", .last_request = request}));
  };
  REQUIRE(failed("t1").size() == 1);
  feed.offer(next);
  CHECK(feed.on_request("opa", "").bundle == next);
  CHECK(failed("t2").empty());
  CHECK(feed.on_request("opa", "").bundle == next);
}

TEST_CASE("a refused bundle is quarantined and the last good one offered") {
  OpaFeed feed;
  const auto good = bundle_of(1), bad = bundle_of(2), next = bundle_of(3);
  feed.offer(good);
  feed.on_request("opa", "");
  feed.on_status("opa", status_of({.active = good->revision, .error = "", .last_request = "t1"}));
  feed.offer(bad);
  CHECK(feed.on_request("opa", good->etag).bundle == bad);
  const auto outcomes = feed.on_status(
      "opa",
      status_of({.active = good->revision, .error = "undefined function", .last_request = "t2"}));
  REQUIRE(outcomes.size() == 1);
  CHECK(outcomes[0].composition == bad->composition);
  CHECK(outcomes[0].rejected->code == ErrorCode::kPdpRejected);
  CHECK(outcomes[0].rejected->message == "undefined function");
  CHECK_FALSE(feed.on_request("opa", good->etag).bundle);
  CHECK(feed.on_request("opa", "").bundle == good);  // a restarted OPA
  CHECK(feed.offer(bad)->rejected->message == "undefined function");
  CHECK_FALSE(feed.on_request("opa", good->etag).bundle);
  CHECK_FALSE(feed.offer(good)->rejected);
  feed.offer(next);
  CHECK(feed.on_request("opa", good->etag).bundle == next);
}

TEST_CASE("without a good bundle a refused one is followed by nothing") {
  OpaFeed feed;
  const auto bad = bundle_of(1);
  feed.offer(bad);
  feed.on_request("opa", "");
  CHECK(feed.on_status("opa", status_of({.active = "", .error = "no", .last_request = "t1"}))
            .size() == 1);
  CHECK_FALSE(feed.on_request("opa", "").bundle);
}

TEST_CASE("an error is blamed on the bundle it belongs to") {
  OpaFeed feed;
  const auto good = bundle_of(1), bad = bundle_of(2), better = bundle_of(3);
  feed.offer(good);
  feed.on_request("opa", "");
  feed.on_status("opa", status_of({.active = good->revision, .error = "", .last_request = "t1"}));
  feed.offer(bad);
  feed.on_request("opa", good->etag);
  feed.offer(better);
  SUBCASE("the status comes after the next bundle was fetched") {
    CHECK(feed.on_request("opa", good->etag).bundle == better);
    const auto outcomes = feed.on_status(
        "opa", status_of({.active = good->revision, .error = "no", .last_request = "t2"}));
    REQUIRE(outcomes.size() == 1);
    CHECK(outcomes[0].composition == bad->composition);
    SUBCASE("and is repeated, for another reason") {
      CHECK(
          feed.on_status("opa",
                         status_of({.active = good->revision, .error = "no", .last_request = "t2"}))
              .empty());
    }
  }
  SUBCASE("the status comes when the next bundle is active already") {
    CHECK(feed.on_request("opa", good->etag).bundle == better);
    CHECK_FALSE(feed.on_request("opa", better->etag).bundle);
    CHECK(feed.on_status("opa",
                         status_of({.active = good->revision, .error = "no", .last_request = "t2"}))
              .empty());
  }
  const auto last = feed.on_status(
      "opa", status_of({.active = better->revision, .error = "", .last_request = "t3"}));
  REQUIRE(last.size() == 1);
  CHECK(last[0].composition == better->composition);
  CHECK_FALSE(last[0].rejected);
}

namespace {

OpaBundlePtr bundle_at_age(int64_t age_s) {
  const auto release =
      with_standing(compose({payments(1, rule(1))}), "payments", standing_at_age(age_s));
  auto bundle = build_opa_bundle(release.composition, release.load);
  REQUIRE(bundle);
  return *bundle;
}

}  // namespace

TEST_CASE("newer times of one revision are confirmed by the request that names them") {
  OpaFeed feed;
  const auto before = bundle_at_age(100);
  const auto after = bundle_at_age(1);
  REQUIRE(before->revision == after->revision);
  REQUIRE(before->etag != after->etag);
  feed.offer(before);
  feed.on_request("opa", "");
  REQUIRE(feed.on_status("opa",
                         status_of({.active = before->revision, .error = "", .last_request = "t1"}))
              .size() == 1);
  feed.on_request("opa", before->etag);
  REQUIRE_FALSE(feed.offer(after));
  CHECK(feed.on_request("opa", before->etag).bundle == after);
  // It may not have activated the new one yet.
  CHECK(feed.on_status("opa",
                       status_of({.active = before->revision, .error = "", .last_request = "t2"}))
            .empty());
  CHECK(feed.on_request("opa", after->etag).at_once);  // to hear its word
  const auto outcomes = feed.on_status(
      "opa", status_of({.active = after->revision, .error = "", .last_request = "t3"}));
  REQUIRE(outcomes.size() == 1);
  CHECK(outcomes[0].composition == after->composition);
}

TEST_CASE("after a refusal nobody is given decisions that are denied now") {
  OpaFeed feed;
  const auto good = bundle_at_age(1);
  const auto denied = bundle_at_age(3'601);
  CHECK(denied->revision.ends_with("@1;expired"));
  feed.offer(good);
  feed.on_request("opa", "");
  feed.on_status("opa", status_of({.active = good->revision, .error = "", .last_request = "t1"}));
  feed.on_request("opa", good->etag);
  feed.offer(denied);
  CHECK(feed.on_request("opa", good->etag).bundle == denied);
  const auto refused = feed.on_status(
      "opa", status_of({.active = good->revision, .error = "no", .last_request = "t2"}));
  REQUIRE(refused.size() == 1);
  CHECK(refused[0].rejected);
  CHECK_FALSE(feed.on_request("another", "").bundle);
  const auto again = feed.offer(good);  // vouched for again, and still active
  REQUIRE(again);
  CHECK_FALSE(again->rejected);
  CHECK(feed.on_request("another", "").bundle == good);
}

TEST_CASE("a failed download says nothing about the bundle") {
  OpaFeed feed;
  const auto one = bundle_of(1);
  feed.offer(one);
  feed.on_request("opa", "");
  CHECK(feed.on_status("opa", status_of({.active = "",
                                         .error = "request failed: connection refused",
                                         .last_request = "t1"}))
            .empty());
  CHECK(feed.on_status("opa", status_of({.active = "",
                                         .error = "server replied with Bad Gateway",
                                         .last_request = "t2",
                                         .http_code = "502"}))
            .empty());
  CHECK(feed.on_request("opa", "").bundle == one);
}

TEST_CASE("statuses that are none change nothing") {
  OpaFeed feed;
  feed.offer(bundle_of(1));
  feed.on_request("opa", "");
  for (const char* text :
       {"null", "[]", "{}", R"({"bundles": 1})", R"({"bundles": {"other": {}}})",
        R"({"labels": [], "bundles": {"notp": {"code": 7, "errors": {"a": 1}}}})",
        R"({"bundles": {"notp": {"active_revision": "somebody/else@7"}}})"})
    CHECK(feed.on_status("opa", json::parse(text)).empty());
}

TEST_CASE("compile errors are told with their places") {
  const auto status = json::parse(R"({"message": "errors", "errors": [
    {"code": "rego_type_error", "message": "undefined function f", "location": {"file": "a.rego", "row": 3, "col": 7}},
    {"code": "rego_parse_error", "message": "unexpected"}, 5]})");
  CHECK(opa_errors_text(status.as_object()) ==
        "a.rego:3:7: rego_type_error: undefined function f\nrego_parse_error: unexpected");
}

namespace {

std::string opa_binary() {
  const char* path = std::getenv("NOTP_OPA");
  if (path == nullptr)
    FAIL("NOTP_OPA is not set: export NOTP_OPA=$(tools/build-opa), or run tools/test");
  return path;
}

// An agent's feed on loopback and OPAs that use it.
struct Host {
  explicit Host(bool with_url) : url(with_url ? fmt::format("http://127.0.0.1:{}", opa_port) : "") {
    on_agent([&] {
      pdp = std::make_unique<OpaPdp>(context.get_executor(), pool,
                                     OpaOptions{.url = url, .status_poll_ms = 200});
      pdp->start(reports.sink());
    });
    const auto route = [this](const http::Request& request) -> asio::awaitable<http::Response> {
      if (request.path == "/status" && drop_statuses) co_return http::text_response(500, "lost");
      if (request.path == "/status") co_return co_await pdp->status_post(request);
      ++fetches;
      co_return co_await pdp->bundle_request(request);
    };
    auto listening = http::Server::listen(context.get_executor(), {}, route);
    REQUIRE(listening);
    server = *std::move(listening);
    REQUIRE(write_file(folder.path() / "opa.yaml",
                       opa_config(fmt::format("http://127.0.0.1:{}", server->port()))));
  }
  ~Host() {
    opa.reset();
    on_agent([&] {
      pdp.reset();
      server.reset();
    });
    work.reset();
    context.stop();
    thread.join();
    pool.join();
  }
  void on_agent(std::function<void()> action) {
    std::promise<void> done;
    asio::post(context, [&] {
      action();
      done.set_value();
    });
    done.get_future().wait();
  }
  void activate(const TestComposition& release) {
    on_agent([&] { pdp->activate(release.composition, release.load); });
  }
  void start_opa() {
    opa.reset();
    opa.emplace(
        ProcessOptions{.command = {opa_binary(), "run", "--server", "--addr",
                                   fmt::format("127.0.0.1:{}", opa_port), "--config-file",
                                   (folder.path() / "opa.yaml").string(), "--log-level", "error"},
                       .folder = folder.path(),
                       .environment = {},
                       .output_file = folder.path() / "opa.out",
                       .error_file = folder.path() / "opa.err"});
  }
  PdpOutcome next() {
    auto outcome = reports.next();
    if (!outcome) FAIL("OPA gave no word; it wrote: " << opa->error());
    return *outcome;
  }
  std::string ask(std::string_view path, const Bytes& input = "{}") {
    const auto answer =
        http::call_blocking({.method = "POST",
                             .url = fmt::format("http://127.0.0.1:{}/v1/data/{}", opa_port, path),
                             .body = fmt::format("{{\"input\":{}}}", input)});
    REQUIRE_MESSAGE(answer, answer.error().message);
    return answer->body.substr(0, answer->body.find_last_not_of('\n') + 1);
  }

  const int opa_port = free_port();
  const std::string url;
  TemporaryFolder folder;
  asio::io_context context{1};
  asio::executor_work_guard<asio::io_context::executor_type> work{context.get_executor()};
  asio::thread_pool pool{1};
  std::thread thread{[this] { context.run(); }};
  ReportQueue reports;
  std::unique_ptr<OpaPdp> pdp;
  std::unique_ptr<http::Server> server;
  std::optional<Process> opa;
  std::atomic<bool> drop_statuses = false;
  std::atomic<int> fetches = 0;
};

}  // namespace

TEST_CASE("OPA confirms, is woken by a change, refuses, recovers and restarts") {
  Host host(true);
  const auto one = compose(
      {payments(1, rule(1)), {"keys", 4, {"keys"}, {{"keys/idp/data.json", R"({"keys": []})"}}}});
  host.activate(one);
  host.start_opa();
  PdpOutcome outcome = host.next();
  CHECK(outcome.composition == one.composition);
  REQUIRE_MESSAGE(!outcome.rejected, outcome.rejected->message);
  CHECK(host.ask("payments/number") == R"({"result":1})");
  CHECK(host.ask("payments/allow", R"({"amount":7})") == R"({"result":true})");
  CHECK(host.ask("payments/allow", R"({"amount":700})") == "{}");
  CHECK(host.ask("keys/idp") == R"({"result":{"keys":[]}})");
  CHECK(host.ask("system/notp/revision") ==
        R"({"result":"100000000000/keys@4,100000000000/payments@1"})");
  CHECK(host.pdp->evaluate("payments/allow", R"({"amount":7})").value() == "true");
  CHECK(host.pdp->evaluate("payments/allow", R"({"amount":700})").value() == std::nullopt);
  CHECK(host.pdp->evaluate("payments/allow", "{").error().code == ErrorCode::kMessage);

  // The long poll that is open now has most of a minute left; a change does not wait for it.
  const auto two = compose({payments(2, rule(2))});
  const auto before = std::chrono::steady_clock::now();
  host.activate(two);
  outcome = host.next();
  CHECK(outcome.composition == two.composition);
  CHECK_FALSE(outcome.rejected);
  CHECK(std::chrono::steady_clock::now() - before < std::chrono::seconds(30));
  CHECK(host.ask("payments/number") == R"({"result":2})");

  // A built-in that this OPA does not have: it parses and does not compile.
  const auto bad = compose({payments(3, "package payments\n\nnumber := no.such.builtin(3)\n")});
  host.activate(bad);
  outcome = host.next();
  CHECK(outcome.composition == bad.composition);
  REQUIRE(outcome.rejected);
  CHECK(outcome.rejected->code == ErrorCode::kPdpRejected);
  CHECK(outcome.rejected->message.find("no.such.builtin") != std::string::npos);
  CHECK(outcome.rejected->message.find("payments/allow.rego:3:") != std::string::npos);
  CHECK(host.ask("payments/number") == R"({"result":2})");
  host.activate(two);  // as the agent does then
  CHECK_FALSE(host.next().rejected);

  // One that does not even parse fails in OPA's downloader, by another way.
  const auto worse = compose({payments(4, "package payments\n\nnumber := (\n")});
  host.activate(worse);
  outcome = host.next();
  CHECK(outcome.composition == worse.composition);
  CHECK(outcome.rejected);
  CHECK(host.ask("payments/number") == R"({"result":2})");
  host.activate(worse);
  CHECK(host.next().rejected);
  host.activate(two);
  CHECK_FALSE(host.next().rejected);

  // A restarted OPA has nothing, and is served at once.
  host.start_opa();
  outcome = host.next();
  CHECK(outcome.composition == two.composition);
  CHECK_FALSE(outcome.rejected);
  CHECK(host.ask("payments/number") == R"({"result":2})");

  const auto five = compose({payments(5, rule(5))});
  host.activate(five);
  outcome = host.next();
  CHECK(outcome.composition == five.composition);
  CHECK_FALSE(outcome.rejected);
  CHECK(host.ask("payments/number") == R"({"result":5})");
  CHECK(host.fetches < 60);  // nobody asks in a circle
  CHECK(host.reports.empty());
}

TEST_CASE("OPA sees how a ledger stands, decides nothing of an expired one, and gets it back") {
  Host host(true);
  const auto release = compose({payments(1, rule(1) + "small(x) if x < 10\n"),
                                {"desk",
                                 3,
                                 {"desk"},
                                 {{"desk/desk.rego",
                                   "package desk\n\nown := \"open\"\n"
                                   "leans if data.payments.allow\n"
                                   "calls if data.payments.small(input.amount)\n"
                                   "stale if data.system.notp.ledgers.payments.state == "
                                   "\"stale\"\n"
                                   "silent if {\n\tguard := data.system.notp.ledgers.payments\n"
                                   "\ttime.now_ns() / 1000000 > guard.vouched_ms + "
                                   "guard.hard_s * 1000\n}\n"}}}});
  const Bytes seven = R"({"amount":7})";
  const auto tell = [&](const Standing& standing) {
    const auto told = with_standing(release, "payments", standing);
    host.activate(told);
    const PdpOutcome outcome = host.next();
    CHECK(outcome.composition == told.composition);
    REQUIRE_MESSAGE(!outcome.rejected, outcome.rejected->message);
  };
  const auto state = [&] { return host.ask("system/notp/ledgers/payments/state"); };
  host.activate(with_standing(release, "payments", standing_at_age(1)));
  host.start_opa();
  REQUIRE_FALSE(host.next().rejected);
  CHECK(host.ask("desk/calls", seven) == R"({"result":true})");
  CHECK(host.ask("desk/stale") == "{}");

  tell(standing_at_age(301));
  CHECK(host.ask("desk/stale") == R"({"result":true})");
  CHECK(host.ask("payments/allow", seven) == R"({"result":true})");

  tell(standing_at_age(3'601));
  CHECK(state() == R"({"result":"expired"})");
  CHECK(host.ask("payments/allow", seven) == "{}");
  CHECK(host.ask("payments/limits") == "{}");
  CHECK(host.ask("payments/number") == "{}");
  CHECK(host.ask("desk/own") == R"({"result":"open"})");
  CHECK(host.ask("desk/leans", seven) == "{}");
  CHECK(host.ask("desk/calls", seven) == "{}");
  CHECK(host.pdp->evaluate("payments/allow", seven).value() == std::nullopt);

  tell(standing_at_age(0));  // vouched for again
  CHECK(state() == R"({"result":"fresh"})");
  CHECK(host.ask("payments/allow", seven) == R"({"result":true})");
  CHECK(host.ask("desk/calls", seven) == R"({"result":true})");

  tell(standing_at_age(3'601, OnHard::kServe));
  CHECK(state() == R"({"result":"expired"})");
  CHECK(host.ask("payments/allow", seven) == R"({"result":true})");

  // Only newer times: the same revision, confirmed all the same. An agent that has died tells no
  // more, and a rule can see it by the clock alone.
  Standing now = standing_at_age(0, OnHard::kServe);
  const auto wall_ms = std::chrono::duration_cast<std::chrono::milliseconds>(
                           std::chrono::system_clock::now().time_since_epoch())
                           .count();
  now.vouched_ms = wall_ms - 2 * 3'600'000;
  tell(now);
  CHECK(host.ask("desk/silent") == R"({"result":true})");
  now.vouched_ms = wall_ms;
  tell(now);
  CHECK(host.ask("desk/silent") == "{}");
}

TEST_CASE("OPA that has not let go of an expired ledger is not asked about it") {
  Host host(true);
  const auto release = compose({payments(1, rule(1))});
  host.activate(with_standing(release, "payments", standing_at_age(1)));
  host.start_opa();
  REQUIRE_FALSE(host.next().rejected);
  const Bytes seven = R"({"amount":7})";
  CHECK(host.pdp->evaluate("payments/allow", seven).value() == "true");
  const auto expired = with_standing(release, "payments", standing_at_age(3'601));
  std::promise<void> go;
  host.on_agent([&] {
    host.pdp->activate(with_standing(compose({payments(1, rule(1)),
                                              {"desk", 1, {"desk"}, {{"desk/d/data.json", "{}"}}}}),
                                     "payments", standing_at_age(3'601))
                           .composition,
                       [&](const Hash&) -> Result<Content> {
                         go.get_future().wait();
                         return fail(ErrorCode::kCorrupt, "damaged");
                       });
  });
  CHECK(host.ask("payments/allow", seven) == R"({"result":true})");
  CHECK(host.pdp->evaluate("payments/allow", seven).value() == std::nullopt);
  CHECK(host.pdp->evaluate("system/notp/ledgers/payments/version", "").value() == "1");
  go.set_value();
  CHECK(host.next().rejected->code == ErrorCode::kCorrupt);
  CHECK(host.pdp->evaluate("payments/allow", seven).value() == std::nullopt);
  host.activate(expired);
  REQUIRE_FALSE(host.next().rejected);
  CHECK(host.ask("payments/allow", seven) == "{}");
}

TEST_CASE("a lost status is read from OPA itself") {
  Host host(true);
  host.drop_statuses = true;
  const auto one = compose({payments(1, rule(1))});
  host.activate(one);
  host.start_opa();
  const PdpOutcome outcome = host.next();
  CHECK(outcome.composition == one.composition);
  CHECK_FALSE(outcome.rejected);
  const auto bad = compose({payments(2, "package payments\n\nnumber := no.such.builtin(3)\n")});
  host.activate(bad);
  const PdpOutcome refused = host.next();
  CHECK(refused.composition == bad.composition);
  CHECK(refused.rejected);
}

TEST_CASE("an agent that restarts is confirmed by the OPA that kept running") {
  Host host(false);
  const auto one = compose({payments(1, rule(1))});
  host.activate(one);
  host.start_opa();
  CHECK_FALSE(host.next().rejected);
  // A new feed knows nothing of what the old one served.
  host.on_agent([&] {
    host.pdp.reset();
    host.pdp = std::make_unique<OpaPdp>(host.context.get_executor(), host.pool, OpaOptions{});
    host.pdp->start(host.reports.sink());
    host.pdp->activate(one.composition, one.load);
  });
  const PdpOutcome outcome = host.next();
  CHECK(outcome.composition == one.composition);
  CHECK_FALSE(outcome.rejected);
  CHECK(host.pdp->evaluate("payments/number", "").error().code == ErrorCode::kUnavailable);
}

TEST_CASE("an OPA that starts before the agent has a model gets it when there is one") {
  Host host(true);
  host.start_opa();
  REQUIRE(wait_until([&] { return host.fetches > 0; }));
  const auto one = compose({payments(1, rule(1))});
  host.activate(one);
  CHECK_FALSE(host.next().rejected);
  CHECK(host.ask("payments/number") == R"({"result":1})");
}

}  // namespace notp
