// notp mirror with a real registry, real agents, a real OPA and stock git: what upstream has
// reaches decisions, and what is not signed as it must be, or was rewritten, does not.
#include <sys/stat.h>

#include <chrono>
#include <fstream>

#include "tests/support/process/mirror_site.hpp"
#include "tests/support/results.hpp"

namespace notp {
namespace {

const json::value kAllowed{{"user", "u-2"}};

bool allows(const std::optional<json::value>& decision) { return decision == json::value(true); }

TEST_CASE("a push reaches decisions by a webhook, and a deleted file a real OPA") {
  MirrorSite site;
  site.stack.start_registry();
  site.configure({site.mirror({{"interval_s", 3600}})});
  site.start();
  Agent& agent = site.stack.start_agent({.name = "edge-1", .ledgers = {kMirrored}});
  Opa opa{site.stack, free_port()};
  Agent& fed = site.stack.start_agent(
      {.name = "edge-2", .ledgers = {kMirrored}, .pdp = "opa", .opa_port = opa.port()});
  opa.start(fed);
  REQUIRE(site.stack.becomes_active(agent, kMirrored, 1));
  REQUIRE(site.stack.becomes_active(fed, kMirrored, 1));
  CHECK_FALSE(allows(agent.decide("shop/allow", kAllowed)));

  // Repeated for the figure, each at a moment when upstream may be asked at once.
  const uint64_t rounds = count_of("NOTP_MIRROR_PUSHES", 1);
  std::vector<milliseconds> times;
  for (uint64_t round = 0; round < rounds; ++round) {
    const bool grants = round % 2 == 0;
    const auto quiet = std::chrono::steady_clock::now() + std::chrono::seconds(6);
    REQUIRE(wait_until([&] {
      return site.state() == "current" &&
             (rounds == 1 || std::chrono::steady_clock::now() >= quiet);
    }));
    site.push_users(grants ? R"(["u-1", "u-2"])" : R"(["u-1"])", &site.ana);
    const auto pushed = std::chrono::steady_clock::now();
    CHECK(site.good_hook().status == 202);
    REQUIRE(wait_until([&] { return allows(agent.decide("shop/allow", kAllowed)) == grants; }));
    times.push_back(
        std::chrono::duration_cast<milliseconds>(std::chrono::steady_clock::now() - pushed));
  }
  std::ranges::sort(times);
  // A single one is too early: it waits for the pause after the first fetch.
  if (rounds > 1)
    record_result("upstream push to the decision at a node, with a webhook",
                  fmt::format("{} pushes", rounds),
                  fmt::format("median {} ms, at most {} ms", times[times.size() / 2].count(),
                              times.back().count()));
  REQUIRE(wait_until([&] { return opa.decide("shop/allow", kAllowed).has_value(); }));

  // A deleted and a renamed file: the tree replaces the tree.
  site.upstream.remove("shop/shop/policy.rego");
  site.upstream.write("shop/shop/renamed.rego", "package shop\n\nrenamed := true\n");
  site.upstream.commit("rename", &site.ana);
  site.upstream.push();
  CHECK(site.good_hook("/hook/shop").status == 202);
  REQUIRE(wait_until([&] { return allows(opa.decide("shop/renamed", kAllowed)); }));
  CHECK_FALSE(opa.decide("shop/allow", kAllowed).has_value());
  REQUIRE(wait_until([&] { return allows(agent.decide("shop/renamed", kAllowed)); }));
  CHECK_FALSE(agent.decide("shop/allow", kAllowed).has_value());

  const CliResult shown = site.stack.notp("alice", {"show", kMirrored});
  REQUIRE_MESSAGE(shown.status == 0, shown.error);
  CHECK(text_at(shown.document, "source.repository") == site.git.url("policies"));
  CHECK(text_at(shown.document, "source.ref") == "refs/heads/main");
  CHECK(text_at(shown.document, "source.commit") == site.upstream.head());
  CHECK(text_at(shown.document, "source.signer").contains("ana@core.internal"));
  CHECK(site.stop() == 0);
}

TEST_CASE("webhooks: GitHub's, Gitea's and GitLab's are followed, others are refused unread") {
  MirrorSite site;
  site.stack.start_registry();
  site.configure({site.mirror({{"interval_s", 86400}})});
  site.start();
  REQUIRE(wait_until([&] { return site.state() == "current"; }));
  const std::string body = R"({"repository": {"clone_url": "https://elsewhere.internal/a.git"}})";
  const std::string hmac = hmac_hex(body);
  const std::vector<std::string> forms = {"X-Hub-Signature-256: sha256=" + hmac,
                                          "X-Gitea-Signature: " + hmac,
                                          std::string("X-Gitlab-Token: ") + kHookSecret};
  int64_t version = 1;
  for (const std::string& form : forms) {
    site.push_users(fmt::format(R"(["u-{}"])", version + 40), &site.ana);
    CHECK(site.hook("/hook", body, {form, "Content-Type: application/json"}).status == 202);
    ++version;
    REQUIRE(wait_until([&] { return site.fact("shop", "commit") == site.upstream.head(); }));
    CHECK(site.head_version() == version);
  }
  site.push_users(R"(["u-9"])", &site.ana);
  const std::string big(2 << 20, 'x');
  CHECK(site.hook("/hook", body, {}).status == 401);
  CHECK(site.hook("/hook", body, {"X-Hub-Signature-256: sha256=" + hmac_hex("other")}).status ==
        401);
  CHECK(site.hook("/hook", body, {"X-Gitlab-Token: guess"}).status == 401);
  CHECK(site.hook("/hook", big, {"X-Hub-Signature-256: sha256=" + hmac_hex(big)}).status == 413);
  CHECK(site.hook("/hook/none", body, {forms[0]}).status == 404);
  CHECK(site.hook("/", body, {forms[0]}).status == 404);
  CHECK(site.metrics().contains("notp_mirror_webhooks_total{outcome=\"refused\"} 3"));
  CHECK(site.metrics().contains("notp_mirror_webhooks_total{outcome=\"accepted\"} 3"));
  CHECK(site.head_version() == version);
  CHECK(read_text(site.stack.file("mirror.log")).contains("mirror_webhook_refused"));

  // Another secret takes effect without a restart.
  must(write_file(site.stack.file("hook-secret"), "another-secret-of-the-webhook", 0600));
  REQUIRE(wait_until([&] {
    return site.hook("/hook", body, {"X-Gitlab-Token: another-secret-of-the-webhook"}).status ==
           202;
  }));
  CHECK(site.hook("/hook", body, {forms[2]}).status == 401);
  REQUIRE(wait_until([&] { return site.head_version() == version + 1; }));
  CHECK(site.stop() == 0);
}

struct Hold {
  const char* what;
  json::object mirror;  // what it has besides the site's
  std::function<void(MirrorSite&)> before, after;
  const char* reason;
  bool is_pending;
};

std::vector<Hold> holds() {
  const auto nothing = [](MirrorSite&) {};
  const json::object tags{{"tags", "v*"}, {"verify", "tag"}};
  const auto tagged = [](MirrorSite& site) {
    site.upstream.tag("v1.0", &site.ana);
    site.push_users(R"(["u-2"])", &site.ana);
    site.upstream.tag("v1.1", &site.ana);
    site.upstream.push();
  };
  return {
      {"force-push",
       {},
       nothing,
       [](MirrorSite& site) {
         site.set_users("shop", R"(["u-7"])");
         site.upstream.run({"add", "-A"});
         site.upstream.run({"-c", "gpg.format=ssh", "-c",
                            "user.signingkey=" + site.ana.private_file.string(), "commit", "-q",
                            "--amend", "-S", "-m", "another first"});
         site.upstream.push();
       },
       "rewritten",
       true},
      {"a branch set back",
       {},
       [](MirrorSite& site) { site.push_users(R"(["u-2"])", &site.ana); },
       [](MirrorSite& site) {
         site.upstream.run({"reset", "-q", "--hard", "HEAD~1"});
         site.upstream.push();
       },
       "rewritten",
       true},
      {"an unsigned commit",
       {},
       nothing,
       [](MirrorSite& site) { site.push_users(R"(["u-7"])", nullptr); },
       "signature",
       false},
      {"a wrong signer",
       {},
       nothing,
       [](MirrorSite& site) { site.push_users(R"(["u-7"])", &site.ben); },
       "signature",
       false},
      {"a moved tag", tags, tagged,
       [](MirrorSite& site) {
         site.push_users(R"(["u-7"])", &site.ana);
         site.upstream.tag("v1.1", &site.ana);
         site.upstream.push();
       },
       "moved_tag", true},
      {"a moved tag of a wrong signer", tags, tagged,
       [](MirrorSite& site) {
         site.push_users(R"(["u-7"])", &site.ben);
         site.upstream.tag("v1.1", &site.ben);
         site.upstream.push();
       },
       "signature", false},
      {"the highest tag set back", tags, tagged,
       [](MirrorSite& site) {
         site.upstream.run({"tag", "-d", "v1.1"});
         site.upstream.run({"push", "-q", "origin", ":refs/tags/v1.1"});
       },
       "rewritten", true},
      {"a person's rollback",
       {},
       [](MirrorSite& site) {
         CHECK(site.once().status == 0);
         site.push_users(R"(["u-2"])", &site.ana);
       },
       [](MirrorSite& site) {
         CHECK(site.stack.notp("alice", {"rollback", kMirrored, "--to", "v1"}).status == 0);
       },
       "other_source",
       true},
  };
}

TEST_CASE("held: force-push, set back, unsigned, wrong signer, moved tag, a person's release") {
  for (const Hold& hold : holds()) {
    CAPTURE(hold.what);
    MirrorSite site;
    site.stack.start_registry();
    site.configure({site.mirror(hold.mirror)});
    hold.before(site);
    const CliResult first = site.once();
    REQUIRE_MESSAGE(first.status == 0, first.output << first.error);
    hold.after(site);
    const int64_t version = site.head_version();

    for (int pass = 0; pass < 3; ++pass) {
      const CliResult held = site.once();
      const json::value row = held.document.at("mirrors").as_array().at(0);
      CHECK(held.status == (hold.is_pending ? 9 : 7));
      CHECK(text_at(row, "state") == "held");
      CHECK(text_at(row, "reason") == hold.reason);
      CHECK(row.at("holds").to_number<int>() == 1);
      CHECK(row.at("releases").to_number<int64_t>() >= 1);
      CHECK(site.head_version() == version);
      CHECK(site.pending().size() == (hold.is_pending ? 1 : 0));
    }
    if (!hold.is_pending) continue;

    // A person looks and signs; the mirror goes on from there.
    CHECK(site.pending()[0].at("signers").to_number<int>() == 0);
    const CliResult signed_one = site.stack.notp("alice", {"sign", kMirrored, "--yes"});
    CHECK_MESSAGE(signed_one.status == 0, signed_one.error);
    CHECK(site.head_version() == version + 1);
    CHECK(site.once().status == 0);
    CHECK(site.head_version() == version + 1);
    site.push_users(R"(["u-8"])", &site.ana);
    if (hold.mirror.contains("tags")) {
      site.upstream.tag("v2.0", &site.ana);
      site.upstream.push();
    }
    CHECK(site.once().status == 0);
    CHECK(site.head_version() == version + 2);
  }
}

TEST_CASE("on_rewrite: follow publishes a higher version") {
  MirrorSite site;
  site.stack.start_registry();
  site.configure({site.mirror({{"on_rewrite", "follow"}})});
  site.push_users(R"(["u-2"])", &site.ana);
  REQUIRE(site.once().status == 0);
  site.upstream.run({"reset", "-q", "--hard", "HEAD~1"});
  site.upstream.push();
  CHECK(site.once().status == 0);
  CHECK(site.head_version() == 2);
  CHECK(site.pending().empty());
}

TEST_CASE("killed between any two steps, each commit becomes one release") {
  MirrorSite site;
  site.stack.start_registry();
  site.configure({site.mirror()});
  int64_t version = 0;
  for (const char* failpoint : {"mirror.fetched", "mirror.built", "mirror.sent"}) {
    CAPTURE(failpoint);
    site.push_users(fmt::format(R"(["u-{}"])", version + 10), &site.ana);
    CHECK(site.once_until(failpoint) == 137);
    for (int pass = 0; pass < 2; ++pass) CHECK(site.once().status == 0);
    CHECK(site.head_version() == ++version);
  }
  // The same for what is held: one pending release.
  site.upstream.run({"reset", "-q", "--hard", "HEAD~1"});
  site.upstream.push();
  for (const char* failpoint : {"mirror.built", "mirror.sent"})
    CHECK(site.once_until(failpoint) == 137);
  for (int pass = 0; pass < 2; ++pass) CHECK(site.once().status == 9);
  CHECK(site.head_version() == version);
  CHECK(site.pending().size() == 1);
  // A daemon that dies with its pass under way: the next one makes one release of the push.
  CHECK(site.stack.notp("alice", {"sign", kMirrored, "--yes"}).status == 0);
  ++version;
  site.start();
  REQUIRE(wait_until([&] { return site.state() == "current"; }));
  site.push_users(R"(["u-60"])", &site.ana);
  CHECK(site.good_hook().status == 202);
  site.daemon().kill();
  site.start();
  REQUIRE(wait_until([&] { return site.fact("shop", "commit") == site.upstream.head(); }));
  CHECK(site.stop() == 0);
  CHECK(site.head_version() == ++version);
  // And a status that is lost costs no release.
  site.upstream.run({"reset", "-q", "--hard", "HEAD~1"});
  site.upstream.push();
  CHECK(site.once().status == 9);
  std::filesystem::remove_all(site.stack.file("mirror-state"));
  CHECK(site.once().status == 9);
  CHECK(site.pending().size() == 1);
}

TEST_CASE("one repository feeds two ledgers; a commit is a release where it touches the folder") {
  MirrorSite site;
  site.stack.start_registry();
  site.write_shop("other", R"(["o-1"])", "other");
  site.upstream.commit("other", &site.ana);
  site.upstream.push();
  const std::string other = "100000000000/other";
  site.configure({site.mirror()});
  site.start();
  REQUIRE(wait_until([&] { return site.state() == "current"; }));
  // A configuration that cannot be used changes nothing; one that can is followed without a
  // restart.
  const auto logged = [&](const char* event) { return read_text(site.log_file()).contains(event); };
  must(write_file(site.config_file(), "{"));
  REQUIRE(wait_until([&] { return logged("mirrors_not_reloaded"); }));
  CHECK(site.state() == "current");
  site.configure({site.mirror(),
                  site.mirror({{"name", "other"}, {"ledger", other}, {"path", "other"}}),
                  site.mirror({{"name", "hung"},
                               {"ledger", "100000000000/hung"},
                               {"repository", site.git.url("policies", "hang")},
                               {"deadline_s", 3600}})});
  site.daemon().signal(SIGHUP);
  REQUIRE(wait_until([&] { return logged("mirrors_reloaded"); }));
  // The third one never gets an answer, which the others do not notice.
  REQUIRE(
      wait_until([&] { return site.state() == "current" && site.state("other") == "current"; }));
  CHECK(site.state("hung") == "unknown");
  site.set_users("other", R"(["o-2"])", "other");
  site.upstream.write("README.md", "about both\n");
  site.upstream.commit("other and README", &site.ana);
  site.upstream.push();
  REQUIRE(wait_until([&] {
    return site.fact("shop", "commit") == site.upstream.head() &&
           site.fact("other", "commit") == site.upstream.head();
  }));
  CHECK(site.head_version() == 1);
  CHECK(site.head_version(other) == 2);
  CHECK(site.stop() == 0);
}

TEST_CASE("no key: each release waits for a person, without an alarm") {
  MirrorSite site;
  site.stack.start_registry();
  site.configure({site.mirror()}, {{"signing_key", nullptr}});
  for (int64_t version = 1; version < 3; ++version) {
    for (int pass = 0; pass < 2; ++pass) {
      const CliResult waiting = site.once();
      CHECK(waiting.status == 9);
      CHECK(waiting.document.at("ok").as_bool());
      CHECK(text_at(waiting.document.at("mirrors").as_array().at(0), "reason") == "no_key");
    }
    // Upstream moves on meanwhile: the newest one waits.
    site.push_users(fmt::format(R"(["u-{}"])", version + 20), &site.ana);
    CHECK(site.once().status == 9);
    REQUIRE(site.pending().size() == 1);
    CHECK(site.stack.notp("alice", {"sign", kMirrored, "--yes"}).status == 0);
    CHECK(site.once().status == 0);
    CHECK(site.head_version() == version);
    site.push_users(fmt::format(R"(["u-{}"])", version + 30), &site.ana);
  }
}

TEST_CASE("a registry that dies during a pass costs no release and makes none twice") {
  MirrorSite site;
  site.stack.start_registry();
  site.configure({site.mirror()});
  CHECK(site.once().status == 0);

  // Between its answer about the head and the release: ssh-keygen waits at a pipe until it is gone.
  const auto bin = site.stack.file("bin"), gone = site.stack.file("gone"),
             verifying = site.stack.file("verifying");
  std::filesystem::create_directories(bin);
  REQUIRE(::mkfifo(gone.c_str(), 0600) == 0);
  must(write_file(bin / "ssh-keygen",
                  fmt::format("#!/bin/sh\n: >{0}\nif [ -p {1} ]; then read -r _ <{1}; rm {1}; fi\n"
                              "PATH=\"${{PATH#*:}}\" exec ssh-keygen \"$@\"\n",
                              verifying.string(), gone.string()),
                  0755));
  site.push_users(R"(["u-2"])", &site.ana);
  Process pass(ProcessOptions{
      .command = {site.stack.program("notp"), "mirror", "once", "--config", site.config_file()},
      .folder = site.stack.folder(),
      .environment = {{"PATH", fmt::format("{}:{}", bin.string(), std::getenv("PATH"))}},
      .output_file = site.stack.file("pass.out"),
      .error_file = site.stack.file("pass.err")});
  REQUIRE(wait_until([&] { return std::filesystem::exists(verifying); }));
  site.stack.kill_registry();
  std::ofstream(gone) << "\n";
  CHECK(pass.wait() == 6);
  const auto row = [&] {
    return site.mirror_command({"status"}).document.at("mirrors").as_array().at(0);
  };
  CHECK(text_at(row(), "state") == "failing");
  CHECK(text_at(row(), "reason") == "registry");
  site.stack.start_registry();
  CHECK(site.once().status == 0);
  CHECK(site.head_version() == 2);

  // While it stores the release, before and after that is done: the answer is lost either way.
  int64_t version = 2;
  for (const char* failpoint : {"registry.after_pack", "registry.after_main"}) {
    CAPTURE(failpoint);
    site.push_users(fmt::format(R"(["u-{}"])", ++version), &site.ana);
    site.stack.kill_registry();
    site.stack.registry_environment = {{"NOTP_FAILPOINT", failpoint}};
    site.stack.start_registry();
    CHECK(site.once().status == 6);
    CHECK(text_at(row(), "reason") == "registry");
    site.stack.kill_registry();
    site.stack.registry_environment.clear();
    site.stack.start_registry();
    for (int passes = 0; passes < 2; ++passes) CHECK(site.once().status == 0);
    CHECK(site.head_version() == version);
    CHECK(site.pending().empty());
  }
}

TEST_CASE("a registry that was restored says what it waits for, and the mirror repeats it") {
  MirrorSite site;
  site.stack.start_registry();
  site.configure({site.mirror()});
  CHECK(site.once().status == 0);
  const auto server = [&](std::vector<std::string> words) {
    words.insert(words.begin(), {site.stack.program("notp-server"), "--config",
                                 site.stack.file("registry.yaml").string()});
    const auto done = run_command(words);
    REQUIRE_MESSAGE(done.status == 0, done.output);
  };
  server({"backup", site.stack.file("backup").string()});
  CHECK(site.stack.stop_registry() == 0);
  std::filesystem::remove_all(site.stack.file("registry.data"));
  server({"restore", site.stack.file("backup").string()});
  site.stack.start_registry();
  site.push_users(R"(["u-2"])", &site.ana);
  CHECK(site.once().status != 0);
  const json::value row = site.mirror_command({"status"}).document.at("mirrors").as_array().at(0);
  CHECK(text_at(row, "state") == "failing");
  CHECK_MESSAGE(text_at(row, "message").contains("was restored"), text_at(row, "message"));
}

TEST_CASE("a pending release follows the configuration, and goes with its signer") {
  MirrorSite site;
  site.stack.start_registry();
  site.write_shop("other", R"(["o-1"])");
  site.upstream.commit("another folder", &site.ana);
  site.upstream.push();
  site.configure({site.mirror()}, {{"signing_key", nullptr}});
  const auto proposed = [&] {
    const json::array rows = site.pending();
    REQUIRE(rows.size() == 1);
    return text_at(rows[0], "release");
  };
  CHECK(site.once().status == 9);
  const std::string wrong_folder = proposed();
  site.configure({site.mirror({{"path", "other"}})}, {{"signing_key", nullptr}});
  CHECK(site.once().status == 9);
  const std::string other_folder = proposed();
  CHECK(other_folder != wrong_folder);
  CHECK(site.once().status == 9);
  CHECK(proposed() == other_folder);
  // Its signer is taken off the list: nobody should be talked into signing it.
  must(write_file(site.stack.file("signers"), site.ben.allowed_as("ben@core.internal")));
  CHECK(site.once().status == 7);
  CHECK(site.pending().empty());
}

TEST_CASE("failures: invalid models, no registry, a manifest of the mirror's own, check, status") {
  MirrorSite site;
  site.configure({site.mirror()});
  CHECK(site.once().status == 6);  // there is no registry
  site.stack.start_registry();
  CHECK(site.once().status == 0);

  site.upstream.write("shop/shop/policy.rego", "package shop\n\nallow if {\n");
  site.upstream.commit("broken", &site.ana);
  site.upstream.push();
  CHECK(site.once().status == 3);
  CHECK(site.once().status == 3);
  CHECK(site.head_version() == 1);
  site.upstream.write("shop/shop/policy.rego", "package shop\n\nallow := true\n");
  site.upstream.run({"rm", "-q", "shop/manifest.json"});
  site.upstream.commit("a tree that knows nothing of it", &site.ana);
  site.upstream.push();
  CHECK(site.once().status == 3);
  must(write_file(site.stack.file("manifest.json"), R"({
    "metadata": {"name": "shop"},
    "runtimes": {"rego": {"language": {"name": "rego", "version": "1.0"}}},
    "partitions": {"/": {"runtime": "rego"}},
    "roots": ["shop"]})"));
  site.configure({site.mirror({{"manifest", "manifest.json"}})});
  CHECK(site.once().status == 0);
  CHECK(site.head_version() == 2);

  const CliResult status = site.mirror_command({"status"});
  CHECK(status.status == 0);
  CHECK(text_at(status.document.at("mirrors").as_array().at(0), "state") == "current");
  CHECK(site.mirror_command({"check"}).status == 0);
  // The configurations that come with it.
  for (const char* file : {"tools/packaging/mirror.yaml", "tools/examples/mirror/mirror.yaml"})
    CHECK(site.stack.notp("alice", {"mirror", "status", "--config", site.stack.source() / file})
              .status == 0);
  CHECK(site.head_version() == 2);
  site.configure({site.mirror({{"branch", "gone"}})});
  CHECK(site.mirror_command({"check"}).status == 8);
  must(write_file(site.stack.file("hook-secret"), "short", 0600));
  CHECK(site.mirror_command({"check"}).status == 2);
  site.configure({site.mirror({{"verify", nullptr}})});
  const CliResult refused = site.once();
  CHECK(refused.status == 2);
  CHECK(refused.error_message().contains("verify"));
}

}  // namespace
}  // namespace notp
