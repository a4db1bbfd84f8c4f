// The embedded PDP with the real engine, and the folder PDP with real hooks.
#include <doctest/doctest.h>
#include <sys/stat.h>

#include <atomic>
#include <boost/asio.hpp>
#include <future>
#include <thread>

#include "common/storage/files.hpp"
#include "notp-client/pdp/embedded_pdp.hpp"
#include "notp-client/pdp/folder_pdp.hpp"
#include "tests/support/agent/ask_pdp.hpp"
#include "tests/support/agent/compositions.hpp"
#include "tests/support/agent/engine.hpp"
#include "tests/support/agent/report_queue.hpp"
#include "tests/support/temporary_folder.hpp"

namespace notp::pdp {
namespace {

namespace asio = boost::asio;
namespace fs = std::filesystem;

struct Host {
  asio::io_context context{1};
  asio::executor_work_guard<asio::io_context::executor_type> work{context.get_executor()};
  asio::thread_pool pool{2};
  std::thread thread{[this] { context.run(); }};
  ReportQueue reports;

  ~Host() {
    work.reset();
    context.stop();
    thread.join();
    pool.join();
  }
  // PDPs are used on the agent's thread.
  void on_agent(std::function<void()> action) {
    std::promise<void> done;
    asio::post(context, [&] {
      action();
      done.set_value();
    });
    done.get_future().wait();
  }
};

EmbeddedOptions options() { return {.engine = {.worker = test_worker()}}; }

TestLedger payments(uint64_t version, const Bytes& rule) {
  return {"payments",
          version,
          {"payments"},
          {{"payments/allow.rego", rule},
           {"payments/allow_test.rego", "package payments\n\nthis does not even parse"},
           {"payments/tests/more.rego", "package payments\n\nnor does this"},
           {"tests/data.json", "{\"payments\": \"outside of the roots\"}"},
           {"payments/limits/data.json", "{\"max\": 100}"}}};
}

const Bytes kRule =
    "package payments\n\nallow if input.amount <= data.payments.limits.max\n"
    "version := data.system.notp.ledgers.payments.version\n";

}  // namespace

TEST_CASE("the embedded PDP decides with what it confirmed, and tells policies what that is") {
  Host host;
  auto pdp = std::make_unique<EmbeddedPdp>(host.context.get_executor(), host.context.get_executor(),
                                           host.pool, options());
  CHECK(ask(*pdp, "payments/allow", "{}").error().code == ErrorCode::kUnavailable);
  const auto first = compose({payments(1, kRule)});
  host.on_agent([&] {
    pdp->start(host.reports.sink());
    pdp->activate(first.active_set, first.load);
  });
  const auto outcome = host.reports.next();
  REQUIRE(outcome);
  CHECK(outcome->active_set == first.active_set);
  REQUIRE_MESSAGE(!outcome->rejected, outcome->rejected->message);
  CHECK(ask(*pdp, "payments/allow", R"({"amount": 7})").value() == "true");
  CHECK(ask(*pdp, "payments/allow", R"({"amount": 700})").value() == std::nullopt);
  CHECK(ask(*pdp, "payments/limits/max", "").value() == "100");
  CHECK(ask(*pdp, "payments/version", "").value() == "1");
  CHECK(ask(*pdp, "system/notp/revision", "").value() == "\"100000000000/payments@1\"");
  host.on_agent([&] { pdp.reset(); });
}

TEST_CASE("a question that its caller gives up is stopped") {
  Host host;
  EmbeddedOptions patient = options();
  patient.deadlines_ms["payments/endless"] = 600'000;
  EmbeddedPdp pdp(host.context.get_executor(), host.context.get_executor(), host.pool, patient);
  const auto release = compose({payments(
      1, kRule + "endless := [1 | some i in numbers.range(1, 100000); some j in numbers.range(1, "
                 "100000); i * j < 0]\n")});
  host.on_agent([&] {
    pdp.start(host.reports.sink());
    pdp.activate(release.active_set, release.load);
  });
  REQUIRE_FALSE(host.reports.next()->rejected);

  asio::cancellation_signal gone;
  std::promise<ErrorCode> ended;
  Question question{.path = {"payments", "endless"}};
  question.inputs.emplace_back();
  host.on_agent([&] {
    asio::co_spawn(host.context, pdp.evaluate(std::move(question)),
                   asio::bind_cancellation_slot(gone.slot(),
                                                [&](std::exception_ptr exception, auto decisions) {
                                                  REQUIRE(exception == nullptr);
                                                  REQUIRE_FALSE(decisions);
                                                  ended.set_value(decisions.error().code);
                                                }));
  });
  while (pdp.engine_status().in_flight == 0) std::this_thread::yield();
  host.on_agent([&] { gone.emit(asio::cancellation_type::terminal); });
  CHECK(ended.get_future().get() == ErrorCode::kCancelled);
  while (pdp.engine_status().in_flight != 0) std::this_thread::yield();
  CHECK(pdp.engine_status().kills == 0);
  CHECK(ask(pdp, "payments/allow", R"({"amount": 7})").value() == "true");
}

TEST_CASE("ledgers are active together, with roots inside one tree") {
  Host host;
  EmbeddedPdp pdp(host.context.get_executor(), host.context.get_executor(), host.pool, options());
  const auto both =
      compose({{"a", 3, {"shared/a"}, {{"data.json", R"({"shared": {"a": {"x": 1}}})"}}},
               {"b",
                5,
                {"shared/b"},
                {{"data.json", R"({"shared": {"b": {"y": 2}}})"},
                 {"b.yaml/data.yaml", "{}"},
                 {"shared/b/z/data.yaml", "k: [v]"}}}});
  host.on_agent([&] {
    pdp.start(host.reports.sink());
    pdp.activate(both.active_set, both.load);
  });
  const auto outcome = host.reports.next();
  REQUIRE(outcome);
  REQUIRE_MESSAGE(!outcome->rejected, outcome->rejected->message);
  CHECK(ask(pdp, "shared", "").value() == R"({"a":{"x":1},"b":{"y":2,"z":{"k":["v"]}}})");
}

TEST_CASE("a release that does not compile is refused with its place, and the old one stays") {
  Host host;
  EmbeddedPdp pdp(host.context.get_executor(), host.context.get_executor(), host.pool, options());
  const auto good = compose({payments(1, kRule)});
  const auto bad = compose({payments(2, "package payments\n\nallow if input.amount <=\n")});
  host.on_agent([&] {
    pdp.start(host.reports.sink());
    pdp.activate(good.active_set, good.load);
  });
  REQUIRE_FALSE(host.reports.next()->rejected);
  host.on_agent([&] { pdp.activate(bad.active_set, bad.load); });
  const auto refused = host.reports.next();
  REQUIRE(refused->rejected);
  CHECK(refused->active_set == bad.active_set);
  CHECK(refused->rejected->code == ErrorCode::kPdpRejected);
  CHECK(refused->rejected->message.find("100000000000/payments/payments/allow.rego:") == 0);
  CHECK(ask(pdp, "payments/version", "").value() == "1");
  // Going back is immediate, and is confirmed.
  host.on_agent([&] {
    pdp.activate(good.active_set, [](const Hash&) -> Result<model::Content> {
      throw std::logic_error("loaded again");
    });
  });
  CHECK_FALSE(host.reports.next()->rejected);
}

TEST_CASE("content that cannot be loaded is no refusal by the engine") {
  Host host;
  EmbeddedPdp pdp(host.context.get_executor(), host.context.get_executor(), host.pool, options());
  const auto release = compose({payments(1, kRule)});
  host.on_agent([&] {
    pdp.start(host.reports.sink());
    pdp.activate(release.active_set, [](const Hash&) -> Result<model::Content> {
      return fail(ErrorCode::kCorrupt, "damaged");
    });
  });
  CHECK(host.reports.next()->rejected->code == ErrorCode::kCorrupt);
}

TEST_CASE("unchanged content is not loaded again") {
  Host host;
  EmbeddedPdp pdp(host.context.get_executor(), host.context.get_executor(), host.pool, options());
  std::atomic<int> loads = 0;
  host.on_agent([&] { pdp.start(host.reports.sink()); });
  for (uint64_t version : {1, 2}) {
    const auto release =
        compose({payments(version, kRule + fmt::format("v{} := true\n", version))});
    host.on_agent([&] {
      pdp.activate(release.active_set, [&loads, load = release.load](const Hash& hash) {
        ++loads;
        return load(hash);
      });
    });
    REQUIRE_FALSE(host.reports.next()->rejected);
  }
  CHECK(loads == 3);  // a rule and a document, then the changed rule
}

TEST_CASE("decisions are whole while releases are swapped under them") {
  Host host;
  EmbeddedOptions patient = options();
  patient.engine.deadline_ms = 60'000;  // a busy machine answers late
  EmbeddedPdp pdp(host.context.get_executor(), host.context.get_executor(), host.pool, patient);
  const auto release = [](uint64_t version) {
    return compose({{"p",
                     version,
                     {"p"},
                     {{"p/p.rego", fmt::format("package p\n\npair := [{}, data.p.d]\n", version)},
                      {"p/d/data.json", fmt::format("{{\"v\": {}}}", version)}}}});
  };
  const auto first = release(1);
  host.on_agent([&] {
    pdp.start(host.reports.sink());
    pdp.activate(first.active_set, first.load);
  });
  REQUIRE_FALSE(host.reports.next()->rejected);
  std::atomic<bool> stop = false;
  std::atomic<int> torn = 0, backwards = 0, asked = 0, failed = 0;
  std::vector<std::thread> callers;
  for (int i = 0; i < 3; ++i)
    callers.emplace_back([&] {
      int64_t last = 0;
      while (!stop) {
        const auto value = ask(pdp, "p/pair", "");
        ++asked;
        if (!value || !*value) {
          ++failed;
          continue;
        }
        const auto pair = json::parse(**value).as_array();
        torn += pair[0].as_int64() != pair[1].at("v").as_int64();
        backwards += pair[0].as_int64() < last;
        last = pair[0].as_int64();
      }
    });
  for (uint64_t version = 2; version <= 60; ++version) {
    const auto next = release(version);
    host.on_agent([&] { pdp.activate(next.active_set, next.load); });
    const auto outcome = host.reports.next();
    const auto error = outcome->rejected ? outcome->rejected->message : std::string();
    CHECK_MESSAGE(error.empty(), "v" << version << ": " << error);
    if (!error.empty()) break;
    CHECK(ask(pdp, "p/pair", "").value() == fmt::format("[{0},{{\"v\":{0}}}]", version));
  }
  while (asked < 100) std::this_thread::yield();
  stop = true;
  for (auto& caller : callers) caller.join();
  CHECK(failed == 0);
  CHECK(torn == 0);
  CHECK(backwards == 0);
}

TEST_CASE("of releases that arrive faster than they compile the newest one wins") {
  Host host;
  EmbeddedPdp pdp(host.context.get_executor(), host.context.get_executor(), host.pool, options());
  std::vector<TestComposition> releases;
  for (uint64_t version = 1; version <= 20; ++version)
    releases.push_back(compose({payments(version, kRule)}));
  host.on_agent([&] {
    pdp.start(host.reports.sink());
    for (const auto& release : releases) pdp.activate(release.active_set, release.load);
  });
  while (true) {
    const auto outcome = host.reports.next();
    REQUIRE(outcome);
    CHECK_FALSE(outcome->rejected);
    if (outcome->active_set == releases.back().active_set) break;
  }
  CHECK(ask(pdp, "payments/version", "").value() == "20");
  CHECK(host.reports.empty());
}

namespace {

Result<model::Content> no_load(const Hash&) { throw std::logic_error("loaded again"); }

// Payments, and a ledger that uses it: a rule, a function, its state, and one without a use.
TestComposition two_ledgers() {
  return compose({{"payments",
                   12,
                   {"payments"},
                   {{"payments/allow.rego",
                     "package payments\n\nallow if input.amount <= data.payments.limits.max\n"
                     "small(x) if x < data.payments.limits.max\n"},
                    {"payments/limits/data.json", "{\"max\": 100}"}}},
                  {"desk",
                   3,
                   {"desk"},
                   {{"desk/desk.rego",
                     "package desk\n\nimport data.payments\n\nown := \"open\"\n"
                     "leans if payments.allow\ncalls if payments.small(input.amount)\n"
                     "state := data.system.notp.ledgers.payments.state\n"
                     "vouched := data.system.notp.ledgers.payments.vouched_ms\n"
                     "default_deny if not payments.allow\n"}}}});
}

const Bytes kSeven = R"({"amount": 7})";

}  // namespace

TEST_CASE("a composition says how each ledger stands, in its document and its revision") {
  const auto release = two_ledgers();
  const auto stale = with_status(release, "payments", status_at_age(301)).active_set;
  CHECK(release.active_set->revision() == "100000000000/desk@3,100000000000/payments@12");
  CHECK(stale->revision() == "100000000000/desk@3,100000000000/payments@12;stale");
  const json::value document = stale->system_document();
  CHECK(document.at("as_of_ms") == kTestNowMs);
  json::object entry = document.at("ledgers").at("payments").as_object();
  for (const char* name : {"zone", "name", "version", "epoch", "release", "content_root", "roots"})
    CHECK(entry.erase(name) == 1);
  CHECK(entry ==
        json::parse(R"({"state": "stale", "withdrawn": false, "withheld": false, "age_s": 301,
      "vouched_ms": 1799999699000, "fresh_s": 300, "hard_s": 3600, "on_hard": "deny"})"));
  const json::value& untracked = document.at("ledgers").at("desk");
  CHECK(untracked.at("state") == "untracked");
  CHECK_FALSE(untracked.as_object().contains("age_s"));

  const auto at = [&](const trust::FreshnessStatus& freshness_status) {
    return with_status(release, "payments", freshness_status).active_set;
  };
  CHECK(at(status_at_age(10))->ledgers == at(status_at_age(200))->ledgers);
  CHECK(at(status_at_age(10))->revision() == at(status_at_age(200))->revision());
  CHECK(at(status_at_age(10))->ledgers != stale->ledgers);
  CHECK(at(status_at_age(3'601))->revision().ends_with("@12;expired"));
  trust::FreshnessStatus withdrawn = status_at_age(1);
  withdrawn.withdrawn = true;
  withdrawn.state = trust::FreshnessState::kExpired;
  CHECK(at(withdrawn)->revision().ends_with("@12;withdrawn"));
  CHECK(at(withdrawn)->ledgers != at(status_at_age(3'601))->ledgers);
  CHECK(at(withdrawn)->denied_roots() == std::vector<std::string>{"payments"});
}

TEST_CASE("another state is news at once, another time of vouching by and by") {
  const trust::FreshnessStatus told = status_at_age(290);
  CHECK_FALSE(trust::needs_reactivation(told, told));
  CHECK(trust::needs_reactivation(told, status_at_age(301)));
  trust::FreshnessStatus attested = told;
  attested.vouched_ms += 899'000;
  CHECK_FALSE(trust::needs_reactivation(told, attested));
  attested.vouched_ms += 1'000;  // a quarter of hard_s
  CHECK(trust::needs_reactivation(told, attested));
  attested.state = trust::FreshnessState::kUntracked;
  CHECK_FALSE(trust::needs_reactivation(attested, [&] {
    trust::FreshnessStatus later = attested;
    later.vouched_ms += 3'600'000;
    return later;
  }()));
}

TEST_CASE("nothing of an expired ledger is decided, others go on, and it comes back") {
  Host host;
  EmbeddedPdp pdp(host.context.get_executor(), host.context.get_executor(), host.pool, options());
  const auto release = two_ledgers();
  const auto fresh = with_status(release, "payments", status_at_age(1));
  const auto expired = with_status(release, "payments", status_at_age(3'601));
  host.on_agent([&] {
    pdp.start(host.reports.sink());
    pdp.activate(fresh.active_set, fresh.load);
  });
  REQUIRE_FALSE(host.reports.next()->rejected);
  CHECK(ask(pdp, "desk/leans", kSeven).value() == "true");
  CHECK(ask(pdp, "desk/calls", kSeven).value() == "true");

  host.on_agent([&] { pdp.activate(expired.active_set, expired.load); });
  const auto outcome = host.reports.next();
  REQUIRE_MESSAGE(!outcome->rejected, outcome->rejected->message);
  CHECK(outcome->active_set == expired.active_set);
  for (const char* path : {"payments/allow", "payments/limits", "payments/limits/max"}) {
    CAPTURE(path);
    CHECK(ask(pdp, path, kSeven).value() == std::nullopt);
  }
  CHECK(ask(pdp, "desk/own", kSeven).value() == "\"open\"");
  CHECK(ask(pdp, "desk/leans", kSeven).value() == std::nullopt);
  CHECK(ask(pdp, "desk/calls", kSeven).value() == std::nullopt);
  CHECK(ask(pdp, "desk/default_deny", kSeven).value() == "true");
  CHECK(ask(pdp, "desk/state", "").value() == "\"expired\"");

  host.on_agent([&] { pdp.activate(fresh.active_set, fresh.load); });
  REQUIRE_FALSE(host.reports.next()->rejected);
  CHECK(ask(pdp, "payments/allow", kSeven).value() == "true");
  CHECK(ask(pdp, "desk/calls", kSeven).value() == "true");
}

TEST_CASE("a ledger without callers is gone as a whole when it expires") {
  Host host;
  EmbeddedPdp pdp(host.context.get_executor(), host.context.get_executor(), host.pool, options());
  const auto expired = with_status(compose({payments(1, kRule)}), "payments", status_at_age(3'601));
  host.on_agent([&] {
    pdp.start(host.reports.sink());
    pdp.activate(expired.active_set, no_load);  // none of it is needed
  });
  REQUIRE_FALSE(host.reports.next()->rejected);
  CHECK(ask(pdp, "payments", kSeven).value() == std::nullopt);
  CHECK(ask(pdp, "system/notp/ledgers/payments/state", "").value() == "\"expired\"");
}

TEST_CASE("another freshness status of the same releases loads and compiles nothing") {
  Host host;
  EmbeddedPdp pdp(host.context.get_executor(), host.context.get_executor(), host.pool, options());
  const auto release = two_ledgers();
  host.on_agent([&] {
    pdp.start(host.reports.sink());
    pdp.activate(release.active_set, release.load);
  });
  REQUIRE_FALSE(host.reports.next()->rejected);
  const uint64_t compiled = pdp.engine_status().units_compiled;
  const auto tell = [&](const trust::FreshnessStatus& freshness_status) {
    const auto told = with_status(release, "payments", freshness_status);
    host.on_agent([&] { pdp.activate(told.active_set, no_load); });
    const auto outcome = host.reports.next();
    CHECK(outcome->active_set == told.active_set);
    CHECK_FALSE(outcome->rejected);
    return ask(pdp, "desk/state", "").value().value_or("undefined");
  };
  CHECK(ask(pdp, "desk/state", "").value() == "\"untracked\"");
  CHECK(tell(status_at_age(1)) == "\"fresh\"");
  CHECK(tell(status_at_age(301)) == "\"stale\"");
  CHECK(tell(status_at_age(3'601, trust::OnHard::kServe)) == "\"expired\"");
  CHECK(ask(pdp, "payments/allow", kSeven).value() == "true");  // serves on
  CHECK(tell(status_at_age(2)) == "\"fresh\"");
  CHECK(ask(pdp, "desk/vouched", "").value() == "1799999998000");
  CHECK(tell(status_at_age(0)) == "\"fresh\"");  // only vouched for later
  CHECK(ask(pdp, "desk/vouched", "").value() == "1800000000000");
  CHECK(pdp.engine_status().units_compiled == compiled);
  const auto denied = with_status(release, "payments", status_at_age(3'601));
  host.on_agent([&] { pdp.activate(denied.active_set, no_load); });  // all texts are known
  REQUIRE_FALSE(host.reports.next()->rejected);
  CHECK(pdp.engine_status().units_compiled > compiled);
}

TEST_CASE("a denial holds before the engine is ready for it, and when it never is") {
  Host host;
  EmbeddedPdp pdp(host.context.get_executor(), host.context.get_executor(), host.pool, options());
  const auto first = two_ledgers();
  const auto next = compose({{"payments", 12, {"payments"}, {{"payments/d/data.json", "{}"}}},
                             {"desk", 4, {"desk"}, {{"desk/more/data.json", "{}"}}}});
  const auto denied = with_status(next, "payments", status_at_age(3'601));
  host.on_agent([&] {
    pdp.start(host.reports.sink());
    pdp.activate(first.active_set, first.load);
  });
  REQUIRE_FALSE(host.reports.next()->rejected);
  std::promise<void> release;
  host.on_agent([&] {
    pdp.activate(denied.active_set, [&](const Hash&) -> Result<model::Content> {
      release.get_future().wait();
      return fail(ErrorCode::kCorrupt, "damaged");
    });
  });
  const auto withheld = [&] {
    for (const char* path :
         {"payments/allow", "/payments//allow", "payments", "", "payments/limits"}) {
      CAPTURE(path);
      CHECK(ask(pdp, path, kSeven).value() == std::nullopt);
    }
    CHECK(ask(pdp, "desk/own", "").value() == "\"open\"");
  };
  withheld();
  release.set_value();
  CHECK(host.reports.next()->rejected->code == ErrorCode::kCorrupt);
  withheld();
  host.on_agent([&] { pdp.activate(first.active_set, no_load); });
  CHECK_FALSE(host.reports.next()->rejected);
  CHECK(ask(pdp, "payments/allow", kSeven).value() == "true");
}

namespace {

fs::path script(const fs::path& folder, const Bytes& text) {
  const fs::path file = folder / "hook.sh";
  REQUIRE(write_file(file, "#!/bin/sh\n" + text, 0755));
  return file;
}

}  // namespace

TEST_CASE("the folder PDP moves its link to whole folders and keeps two") {
  Host host;
  TemporaryFolder folder;
  const fs::path link = folder.path() / "model";
  const auto hook = script(folder.path(),
                           "test -f \"$NOTP_FOLDER/payments/limits/data.json\" && echo "
                           "\"$NOTP_REVISION\" >> \"$NOTP_FOLDER.log\"\n");
  FolderPdp pdp(host.context.get_executor(), host.pool, test_checker(),
                {.link = link, .hook = {hook.string()}});
  host.on_agent([&] { pdp.start(host.reports.sink()); });
  for (uint64_t version = 1; version <= 4; ++version) {
    const auto release = compose({payments(version, kRule)});
    host.on_agent([&] { pdp.activate(release.active_set, release.load); });
    const auto outcome = host.reports.next();
    REQUIRE(outcome);
    CHECK_MESSAGE(!outcome->rejected, outcome->rejected->message);
  }
  CHECK(read_file(link / "100000000000/payments/payments/allow.rego", 1000).value() == kRule);
  CHECK_FALSE(fs::exists(link / "100000000000/payments/payments/allow_test.rego"));
  CHECK_FALSE(fs::exists(link / "100000000000/payments/payments/tests"));
  CHECK_FALSE(fs::exists(link / "tests"));
  CHECK(read_file(link.string() + ".log", 1000).value().ends_with("payments@4\n"));
  CHECK(std::distance(fs::directory_iterator(link.string() + ".releases"), {}) == 2);
  CHECK(ask(pdp, "payments/allow", "").error().code == ErrorCode::kUnavailable);
}

TEST_CASE("a hook that fails is a refusal, and the link goes back") {
  Host host;
  TemporaryFolder folder;
  const fs::path link = folder.path() / "model";
  const auto hook =
      script(folder.path(),
             "case $NOTP_REVISION in *@2) echo 'line 3: no' >&2; exit 7;; *@3) sleep 600;; esac\n");
  FolderPdp pdp(host.context.get_executor(), host.pool, test_checker(),
                {.link = link, .hook = {hook.string()}, .hook_ms = 3'000});
  host.on_agent([&] { pdp.start(host.reports.sink()); });
  const auto activate = [&](uint64_t version) {
    const auto release = compose({payments(version, kRule + fmt::format("v := {}\n", version))});
    host.on_agent([&] { pdp.activate(release.active_set, release.load); });
    return *host.reports.next();
  };
  CHECK_FALSE(activate(1).rejected);
  const auto refused = activate(2).rejected;
  REQUIRE(refused);
  CHECK(refused->code == ErrorCode::kPdpRejected);
  CHECK(refused->message.find("exited with 7: line 3: no") != std::string::npos);
  CHECK(read_file(link / "100000000000/payments/payments/allow.rego", 1000)
            .value()
            .ends_with("v := 1\n"));
  CHECK(activate(3).rejected->code == ErrorCode::kTimeout);
  CHECK(read_file(link / "100000000000/payments/payments/allow.rego", 1000)
            .value()
            .ends_with("v := 1\n"));
  CHECK_FALSE(activate(4).rejected);
}

TEST_CASE("the folder of an expired ledger is empty, and the link never goes back to a full one") {
  Host host;
  TemporaryFolder folder;
  const fs::path link = folder.path() / "model";
  const auto hook =
      script(folder.path(), "case $NOTP_REVISION in *expired) echo 'no' >&2; exit 1;; esac\n");
  const auto release = two_ledgers();
  const auto fresh = with_status(release, "payments", status_at_age(1));
  const auto expired = with_status(release, "payments", status_at_age(3'601));
  const auto policy = link / "100000000000/payments/payments/allow.rego";
  const auto run = [&](FolderPdp& pdp, const TestComposition& next) {
    host.on_agent([&] { pdp.activate(next.active_set, next.load); });
    return *host.reports.next();
  };
  const auto check_expired = [&] {
    CHECK_FALSE(fs::exists(policy));
    CHECK_FALSE(fs::exists(link / "payments/limits/data.json"));
    CHECK(fs::exists(link / "100000000000/desk/desk/desk.rego"));
    const auto manifest = json::parse(read_file(link / ".manifest", 10'000).value());
    CHECK(manifest.at("roots") == json::parse(R"(["desk", "payments", "system/notp"])"));
    const auto told = json::parse(read_file(link / "system/notp/data.json", 10'000).value());
    CHECK(told.at("ledgers").at("payments").at("state") == "expired");
  };
  {
    FolderPdp pdp(host.context.get_executor(), host.pool, test_checker(),
                  {.link = link, .hook = {hook.string()}});
    host.on_agent([&] { pdp.start(host.reports.sink()); });
    CHECK_FALSE(run(pdp, fresh).rejected);
    CHECK(fs::exists(policy));
    CHECK(run(pdp, expired).rejected->message.find("exited with 1: no") != std::string::npos);
    check_expired();
    CHECK_FALSE(run(pdp, fresh).rejected);
    CHECK(fs::exists(policy));
  }
  // A new process does not know the link's target.
  FolderPdp pdp(host.context.get_executor(), host.pool, test_checker(),
                {.link = link, .hook = {hook.string()}});
  host.on_agent([&] { pdp.start(host.reports.sink()); });
  CHECK(run(pdp, expired).rejected);
  check_expired();
}

TEST_CASE("the folder PDP does not replace what is not its link") {
  Host host;
  TemporaryFolder folder;
  const fs::path link = folder.path() / "model";
  fs::create_directory(link);
  FolderPdp pdp(host.context.get_executor(), host.pool, test_checker(), {.link = link, .hook = {}});
  const auto release = compose({payments(1, kRule)});
  host.on_agent([&] {
    pdp.start(host.reports.sink());
    pdp.activate(release.active_set, release.load);
  });
  CHECK(host.reports.next()->rejected->code == ErrorCode::kConfig);
  CHECK(fs::is_directory(link));
}

}  // namespace notp::pdp
