// The embedded PDP with the real engine, and the folder PDP with real hooks.
#include <doctest/doctest.h>
#include <sys/stat.h>

#include <atomic>
#include <boost/asio.hpp>
#include <thread>

#include "common/files.hpp"
#include "notp-client/pdp/embedded_pdp.hpp"
#include "notp-client/pdp/folder_pdp.hpp"
#include "tests/support/compositions.hpp"
#include "tests/support/report_queue.hpp"
#include "tests/support/temporary_folder.hpp"

namespace notp {
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
  // PDPs are used from the agent's thread.
  void on_agent(std::function<void()> action) {
    std::promise<void> done;
    asio::post(context, [&] {
      action();
      done.set_value();
    });
    done.get_future().wait();
  }
};

TestLedger payments(uint64_t version, const Bytes& rule) {
  return {"payments",
          version,
          {"payments"},
          {{"payments/allow.rego", rule},
           {"payments/allow_test.rego", "package payments\n\nthis does not even parse"},
           {"payments/limits/data.json", "{\"max\": 100}"}}};
}

const Bytes kRule =
    "package payments\n\nallow if input.amount <= data.payments.limits.max\n"
    "version := data.system.notp.ledgers.payments.version\n";

}  // namespace

TEST_CASE("the embedded PDP decides with what it confirmed, and tells policies what that is") {
  Host host;
  auto pdp = std::make_unique<EmbeddedPdp>(host.context.get_executor(), host.pool);
  CHECK(pdp->evaluate("payments/allow", "{}").error().code == ErrorCode::kUnavailable);
  const auto first = compose({payments(1, kRule)});
  host.on_agent([&] {
    pdp->start(host.reports.sink());
    pdp->activate(first.composition, first.load);
  });
  const auto outcome = host.reports.next();
  REQUIRE(outcome);
  CHECK(outcome->composition == first.composition);
  REQUIRE_MESSAGE(!outcome->rejected, outcome->rejected->message);
  CHECK(pdp->evaluate("payments/allow", R"({"amount": 7})").value() == "true");
  CHECK(pdp->evaluate("payments/allow", R"({"amount": 700})").value() == std::nullopt);
  CHECK(pdp->evaluate("payments/limits/max", "").value() == "100");
  CHECK(pdp->evaluate("payments/version", "").value() == "1");
  CHECK(pdp->evaluate("system/notp/revision", "").value() == "\"100000000000/payments@1\"");
  host.on_agent([&] { pdp.reset(); });
}

TEST_CASE("ledgers are active together, with roots inside one tree") {
  Host host;
  EmbeddedPdp pdp(host.context.get_executor(), host.pool);
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
    pdp.activate(both.composition, both.load);
  });
  const auto outcome = host.reports.next();
  REQUIRE(outcome);
  REQUIRE_MESSAGE(!outcome->rejected, outcome->rejected->message);
  CHECK(pdp.evaluate("shared", "").value() == R"({"a":{"x":1},"b":{"y":2,"z":{"k":["v"]}}})");
}

TEST_CASE("a release that does not compile is refused with its place, and the old one stays") {
  Host host;
  EmbeddedPdp pdp(host.context.get_executor(), host.pool);
  const auto good = compose({payments(1, kRule)});
  const auto bad = compose({payments(2, "package payments\n\nallow if input.amount <=\n")});
  host.on_agent([&] {
    pdp.start(host.reports.sink());
    pdp.activate(good.composition, good.load);
  });
  REQUIRE_FALSE(host.reports.next()->rejected);
  host.on_agent([&] { pdp.activate(bad.composition, bad.load); });
  const auto refused = host.reports.next();
  REQUIRE(refused->rejected);
  CHECK(refused->composition == bad.composition);
  CHECK(refused->rejected->code == ErrorCode::kPdpRejected);
  CHECK(refused->rejected->message.find("100000000000/payments/payments/allow.rego:") == 0);
  CHECK(pdp.evaluate("payments/version", "").value() == "1");
  // Going back costs nothing and is confirmed.
  host.on_agent([&] {
    pdp.activate(good.composition,
                 [](const Hash&) -> Result<Content> { throw std::logic_error("loaded again"); });
  });
  CHECK_FALSE(host.reports.next()->rejected);
}

TEST_CASE("content that cannot be loaded is no refusal by the engine") {
  Host host;
  EmbeddedPdp pdp(host.context.get_executor(), host.pool);
  const auto release = compose({payments(1, kRule)});
  host.on_agent([&] {
    pdp.start(host.reports.sink());
    pdp.activate(release.composition, [](const Hash&) -> Result<Content> {
      return fail(ErrorCode::kCorrupt, "damaged");
    });
  });
  CHECK(host.reports.next()->rejected->code == ErrorCode::kCorrupt);
}

TEST_CASE("unchanged content is not loaded again") {
  Host host;
  EmbeddedPdp pdp(host.context.get_executor(), host.pool);
  std::atomic<int> loads = 0;
  host.on_agent([&] { pdp.start(host.reports.sink()); });
  for (uint64_t version : {1, 2}) {
    const auto release =
        compose({payments(version, kRule + fmt::format("v{} := true\n", version))});
    host.on_agent([&] {
      pdp.activate(release.composition, [&loads, load = release.load](const Hash& hash) {
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
  EmbeddedPdp pdp(host.context.get_executor(), host.pool);
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
    pdp.activate(first.composition, first.load);
  });
  REQUIRE_FALSE(host.reports.next()->rejected);
  std::atomic<bool> stop = false;
  std::atomic<int> torn = 0, backwards = 0, asked = 0;
  std::vector<std::thread> askers;
  for (int i = 0; i < 3; ++i)
    askers.emplace_back([&] {
      int64_t last = 0;
      while (!stop) {
        const auto value = pdp.evaluate("p/pair", "");
        const auto pair = json::parse(**value).as_array();
        torn += pair[0].as_int64() != pair[1].at("v").as_int64();
        backwards += pair[0].as_int64() < last;
        last = pair[0].as_int64();
        ++asked;
      }
    });
  for (uint64_t version = 2; version <= 60; ++version) {
    const auto next = release(version);
    host.on_agent([&] { pdp.activate(next.composition, next.load); });
    REQUIRE_FALSE(host.reports.next()->rejected);
    CHECK(pdp.evaluate("p/pair", "").value() == fmt::format("[{0},{{\"v\":{0}}}]", version));
  }
  while (asked < 100) std::this_thread::yield();
  stop = true;
  for (auto& asker : askers) asker.join();
  CHECK(torn == 0);
  CHECK(backwards == 0);
}

TEST_CASE("of releases that arrive faster than they compile the newest one wins") {
  Host host;
  EmbeddedPdp pdp(host.context.get_executor(), host.pool);
  std::vector<TestComposition> releases;
  for (uint64_t version = 1; version <= 20; ++version)
    releases.push_back(compose({payments(version, kRule)}));
  host.on_agent([&] {
    pdp.start(host.reports.sink());
    for (const auto& release : releases) pdp.activate(release.composition, release.load);
  });
  while (true) {
    const auto outcome = host.reports.next();
    REQUIRE(outcome);
    CHECK_FALSE(outcome->rejected);
    if (outcome->composition == releases.back().composition) break;
  }
  CHECK(pdp.evaluate("payments/version", "").value() == "20");
  CHECK(host.reports.empty());
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
  FolderPdp pdp(host.context.get_executor(), host.pool, {.link = link, .hook = {hook.string()}});
  host.on_agent([&] { pdp.start(host.reports.sink()); });
  for (uint64_t version = 1; version <= 4; ++version) {
    const auto release = compose({payments(version, kRule)});
    host.on_agent([&] { pdp.activate(release.composition, release.load); });
    const auto outcome = host.reports.next();
    REQUIRE(outcome);
    CHECK_MESSAGE(!outcome->rejected, outcome->rejected->message);
  }
  CHECK(read_file(link / "100000000000/payments/payments/allow.rego", 1000).value() == kRule);
  CHECK_FALSE(fs::exists(link / "100000000000/payments/payments/allow_test.rego"));
  CHECK(read_file(link.string() + ".log", 1000).value().ends_with("payments@4\n"));
  CHECK(std::distance(fs::directory_iterator(link.string() + ".releases"), {}) == 2);
  CHECK(pdp.evaluate("payments/allow", "").error().code == ErrorCode::kUnavailable);
}

TEST_CASE("a hook that fails is a refusal, and the link goes back") {
  Host host;
  TemporaryFolder folder;
  const fs::path link = folder.path() / "model";
  const auto hook =
      script(folder.path(),
             "case $NOTP_REVISION in *@2) echo 'line 3: no' >&2; exit 7;; *@3) sleep 600;; esac\n");
  FolderPdp pdp(host.context.get_executor(), host.pool,
                {.link = link, .hook = {hook.string()}, .hook_ms = 3'000});
  host.on_agent([&] { pdp.start(host.reports.sink()); });
  const auto activate = [&](uint64_t version) {
    const auto release = compose({payments(version, kRule + fmt::format("v := {}\n", version))});
    host.on_agent([&] { pdp.activate(release.composition, release.load); });
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

TEST_CASE("the folder PDP does not replace what is not its link") {
  Host host;
  TemporaryFolder folder;
  const fs::path link = folder.path() / "model";
  fs::create_directory(link);
  FolderPdp pdp(host.context.get_executor(), host.pool, {.link = link, .hook = {}});
  const auto release = compose({payments(1, kRule)});
  host.on_agent([&] {
    pdp.start(host.reports.sink());
    pdp.activate(release.composition, release.load);
  });
  CHECK(host.reports.next()->rejected->code == ErrorCode::kConfig);
  CHECK(fs::is_directory(link));
}

}  // namespace notp
