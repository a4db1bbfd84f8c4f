// The parts of the admin CLI that determine its output and what it trusts.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "common/size_text.hpp"
#include "common/storage/files.hpp"
#include "protocol/delta/artifact.hpp"
#include "tests/support/registry/model_samples.hpp"
#include "tests/support/temporary_folder.hpp"
#include "tests/support/wire/signed_samples.hpp"
#include "tools/notp/duration.hpp"
#include "tools/notp/node/deny_list.hpp"
#include "tools/notp/node/node_commands.hpp"
#include "tools/notp/publish/plan.hpp"
#include "tools/notp/publish/release_draft.hpp"
#include "tools/notp/query/reference.hpp"
#include "tools/notp/query/release_cache.hpp"
#include "tools/notp/settings.hpp"
#include "tools/notp/workspace.hpp"

using namespace notp;
using namespace notp::cli;
namespace fs = std::filesystem;

namespace {

const Output kPlain{Output::Options{}};

std::vector<Change> changes_of(const samples::Texts& before, const samples::Texts& after) {
  return compare_trees(*samples::model_of(before).tree, *samples::model_of(after).tree);
}

void put(const fs::path& path, std::string_view text) {
  REQUIRE(make_folders(path.parent_path()));
  REQUIRE(write_file(path, text));
}

// As if it were verified.
trust::VerifiedRelease read_as(const trust::Release& release, uint8_t signer) {
  trust::ReleaseEnvelope envelope(samples::signed_by(release, {signer}).encode());
  REQUIRE(envelope.open());
  REQUIRE(envelope.read());
  return {trust::ref_of(release, envelope.hash()), envelope};
}

// A release of `texts` after `previous`, signed by key `signer`.
PulledRelease signed_release(uint64_t version, const samples::Texts& texts, uint8_t signer = 2,
                             const PulledRelease* previous = nullptr) {
  PulledRelease out;
  out.content = samples::model_of(texts);
  trust::Release release = samples::release(version);
  if (previous) release.previous_hash = previous->verified.ref.release_hash;
  release.content_root = out.content.tree->content_root();
  release.total_bytes = out.content.tree->total_bytes();
  release.file_count = out.content.tree->files().size();
  out.verified = read_as(release, signer);
  out.root_version = 1;
  return out;
}

std::vector<RootPtr> chain_of(std::initializer_list<trust::Root> roots) {
  std::vector<RootPtr> chain;
  for (const trust::Root& root : roots) chain.push_back(std::make_shared<const trust::Root>(root));
  return chain;
}

Bytes full_artifact(const PulledRelease& release, const model::ModelContent& content) {
  return delta::encode_artifact(nullptr,
                                {release.verified.envelope, content.tree.get(), content.loader()})
      .value();
}

trust::Floor floor_at(const PulledRelease& release) {
  return {release.release().epoch, release.release().version, release.verified.ref.release_hash};
}

}  // namespace

TEST_CASE("a plan names what is added, changed, removed and renamed, sorted by path") {
  const auto changes = changes_of(
      {{"a.rego", "one"}, {"b/data.json", "{}"}, {"c.rego", "three"}, {"same.rego", "same"}},
      {{"a.rego", "one more"},
       {"b/data.json", "{}"},
       {"z/moved.rego", "three"},
       {"d.rego", "new"},
       {"same.rego", "same"}});
  REQUIRE(changes.size() == 3);
  CHECK(changes[0].kind == ChangeKind::kChange);
  CHECK(changes[1].kind == ChangeKind::kAdd);
  CHECK(changes[2].kind == ChangeKind::kRename);
  CHECK(changes_text(kPlain, changes, 10) ==
        "  ~ a.rego                 8 B (+5 B)\n"
        "  + d.rego                 3 B\n"
        "  R c.rego -> z/moved.rego 5 B\n");
  CHECK(counts_text(count_changes(changes)) == "1 to add, 1 to change, 0 to remove, 1 to rename");
}

TEST_CASE("two files of one content that move are two renames, and an empty file is none") {
  const auto moved = changes_of({{"a", "x"}, {"b", "x"}}, {{"c", "x"}, {"d", "x"}, {"e", "x"}});
  CHECK(count_changes(moved).rename == 2);
  CHECK(count_changes(moved).add == 1);
  CHECK(count_changes(moved).remove == 0);
  const auto empty = changes_of({{"a", ""}}, {{"b", ""}});
  CHECK(count_changes(empty).rename == 0);
  CHECK(counts_text(count_changes(empty)) == "1 to add, 0 to change, 1 to remove");
}

TEST_CASE("a long plan is cut and says by how much") {
  samples::Texts many;
  for (int i = 0; i < 1500; ++i) many[fmt::format("f{:04}.rego", i)] = fmt::format("{}", i);
  const auto changes = changes_of({}, many);
  const std::string text = changes_text(kPlain, changes, 100);
  CHECK(std::ranges::count(text, '\n') == 101);
  CHECK(text.ends_with("    and 1,400 more (--all shows them)\n"));
  CHECK(changes_json(changes).size() == 1500);
}

TEST_CASE("folders are summed up only when there are several") {
  CHECK(folders_text(kPlain, changes_of({}, {{"a/x", "1"}, {"a/y", "2"}})).empty());
  CHECK(folders_text(kPlain, changes_of({{"b/z", "3"}}, {{"a/x", "1"}, {"top", "2"}})) ==
        "  FOLDER  ADD  CHANGE  REMOVE  RENAME\n"
        "  .       1    -       -       -\n"
        "  a       1    -       -       -\n"
        "  b       -    -       1       -\n");
}

TEST_CASE("data roots that a release gains and loses") {
  const RootsChange change = compare_roots({"authz", "keys"}, {"authz", "limits"});
  CHECK(change.added == std::vector<std::string>{"limits"});
  CHECK(change.removed == std::vector<std::string>{"keys"});
  CHECK(compare_roots({"a"}, {"a"}).empty());
}

TEST_CASE("sizes, counts, times and ages as people read them") {
  CHECK(size_text(999) == "999 B");
  CHECK(size_text(1000) == "1.0 KB");
  CHECK(size_text(999'960) == "1.0 MB");
  CHECK(size_text(20'100'000) == "20.1 MB");
  CHECK(human_count(999) == "999");
  CHECK(human_count(1'234'567) == "1,234,567");
  CHECK(utc_time(1'751'371'200'000) == "2025-07-01T12:00:00Z");
  CHECK(age(0, 119'000) == "119s");
  CHECK(age(0, 120'000) == "2m");
  CHECK(age(0, 3 * 24 * 3600'000) == "3d");
  CHECK(age(5000, 0) == "now");
  CHECK(ago(5000, 0) == "just now");
  CHECK(ago(0, 90'000) == "90s ago");
  CHECK(short_identity("spiffe://core.internal/publisher/alice") == "publisher/alice");
  CHECK(short_identity("\033[31mred") == "\\x1b[31mred");
}

TEST_CASE("a table aligns its columns and leaves no blanks at the end") {
  CHECK(table(kPlain, {{"A", "LONGER"}, {"bcd", "é"}, {"é", ""}}) ==
        "A    LONGER\n"
        "bcd  é\n"
        "é\n");
}

TEST_CASE("colours do not move the columns after them") {
  const Output colourful{Output::Options{.colour = true}};
  const std::string green = colourful.paint(Colour::kGreen, "ok");
  CHECK(green == "\033[32mok\033[0m");
  CHECK(table(colourful, {{"STATE", "NEXT"}, {green, "x"}}) ==
        "\033[1mSTATE  NEXT\033[0m\n" + green + "     x\n");
}

TEST_CASE("versions and releases by name") {
  CHECK(parse_version("v41").value() == 41);
  CHECK(parse_version("41").value() == 41);
  for (const char* bad : {"", "v", "v0", "-1", "1x", "vv1", "99999999999999999999"})
    CHECK_MESSAGE(parse_version(bad).error().code == ErrorCode::kUsage, bad);
  const auto reference = parse_reference("273165098782/payments@v7");
  REQUIRE(reference);
  CHECK(reference->ledger.text() == "273165098782/payments");
  CHECK(reference->version == 7);
  CHECK(parse_reference("273165098782/payments")->version == 0);
  CHECK(parse_reference("273165098782/payments@").error().code == ErrorCode::kUsage);
  CHECK(parse_reference("payments@v7").error().code == ErrorCode::kUsage);
}

TEST_CASE("the configuration: each file fills what flags and nearer files left open") {
  const TemporaryFolder folder;
  const fs::path deep = folder.path() / "work/model/policies", none = folder.path() / "none";
  REQUIRE(make_folders(deep));
  const Environment user{{"XDG_CONFIG_HOME", (folder.path() / "xdg").string()}};
  CHECK(find_configs({}, user, deep, none).empty());
  const fs::path of_user = folder.path() / "xdg/notp/config.yaml",
                 of_work = folder.path() / "work/.notp/config.yaml",
                 of_system = folder.path() / "etc/config.yaml",
                 named = folder.path() / "publisher.yaml";
  put(of_user,
      "ledger: 273165098782/of-the-user\nregistry: user:1\n"
      "tls: {certificate: me.crt, key: me.key}\n");
  put(of_work, "ledger: 273165098782/payments\nroot: root.envelope\n");
  put(of_system, "registry: system:1\ntls: {key: system.key, ca: ca.crt}\n");
  put(named, "registry: named:1\nsigning_key: alice.key\n");

  Flags flags;
  flags.config = named;
  const auto found = find_configs(flags, user, deep, of_system);
  REQUIRE(found.size() == 4);
  CHECK(found[0] == named);
  CHECK(fs::equivalent(found[1], of_work));
  CHECK(found[2] == of_user);
  CHECK(found[3] == of_system);

  const auto settings = load_settings(flags, user, deep, of_system);
  REQUIRE(settings);
  CHECK(settings->registry == "named:1");
  CHECK(settings->ledger == "273165098782/payments");
  CHECK(settings->root == found[1].parent_path() / "root.envelope");
  CHECK(settings->certificate == of_user.parent_path() / "me.crt");
  CHECK(settings->key == of_user.parent_path() / "me.key");
  CHECK(settings->ca == of_system.parent_path() / "ca.crt");
  CHECK(settings->signing_keys == std::vector<fs::path>{folder.path() / "alice.key"});
  CHECK(settings->trust_domain.empty());

  // A flag comes before all of them; the variable names a file like the flag.
  flags.config.clear();
  flags.registry = "flag:1";
  Environment by_variable = user;
  by_variable["NOTP_CONFIG"] = named;
  const auto other = load_settings(flags, by_variable, deep, of_system);
  REQUIRE(other);
  CHECK(other->registry == "flag:1");
  CHECK(other->signing_keys.size() == 1);
  const auto source_of = [&](std::string_view name) {
    return std::ranges::find(other->chosen, name, &ChosenSetting::name)->source;
  };
  CHECK(source_of("registry") == "--registry");
  CHECK(source_of("tls.ca") == of_system);
  CHECK(source_of("trust_domain").empty());

  // A file that is both named and the workspace's is read once; an absent one is an error.
  flags.config = of_work;
  CHECK(find_configs(flags, user, deep, none).size() == 2);
  flags.config = "/absent.yaml";
  const auto absent = load_settings(flags, user, deep, none);
  REQUIRE_FALSE(absent);
  CHECK(absent.error().code == ErrorCode::kConfig);
  CHECK(absent.error().message.contains("/absent.yaml"));
}

TEST_CASE("a mistake in any of the files is an error that names the file") {
  const TemporaryFolder folder;
  const Environment user{{"XDG_CONFIG_HOME", (folder.path() / "xdg").string()}};
  put(folder.path() / ".notp/config.yaml", "ledger: 273165098782/payments\n");
  const fs::path of_user = folder.path() / "xdg/notp/config.yaml";
  put(of_user, "tls: [not, a, mapping]\n");
  const auto settings = load_settings({}, user, folder.path(), {});
  REQUIRE_FALSE(settings);
  CHECK_MESSAGE(settings.error().message.contains(of_user.string()), settings.error().message);
}

TEST_CASE("a proxy's password goes to the proxy that stands beside it alone") {
  const TemporaryFolder folder;
  const Environment user{{"XDG_CONFIG_HOME", (folder.path() / "xdg").string()}};
  put(folder.path() / "xdg/notp/config.yaml",
      "proxy: http://alice@ours:3128\nproxy_password_file: secret\n");
  const auto mine = load_settings({}, user, folder.path(), {});
  REQUIRE(mine);
  CHECK(mine->proxy.password_file == folder.path() / "xdg/notp/secret");
  put(folder.path() / ".notp/config.yaml", "proxy: http://alice@theirs:3128\n");
  const auto cloned = load_settings({}, user, folder.path(), {});
  REQUIRE(cloned);
  CHECK(cloned->proxy.url == "http://alice@theirs:3128");
  CHECK(cloned->proxy.password_file.empty());
}

TEST_CASE("a setting that does not exist is named") {
  const TemporaryFolder folder;
  put(folder.path() / ".notp/config.yaml", "regsitry: here:1\n");
  const auto settings = load_settings({}, {}, folder.path(), {});
  REQUIRE_FALSE(settings);
  CHECK(settings.error().code == ErrorCode::kConfig);
  CHECK(settings.error().message.contains("regsitry"));
}

TEST_CASE("what a folder started from survives on disk and belongs to one ledger") {
  const TemporaryFolder folder;
  const WorkspaceState state{"core.internal", samples::kLedger, 7,    sha256("r"),
                             sha256("c"),     sha256("p"),      "abc"};
  REQUIRE(save_state(folder.path(), state));
  const auto loaded = load_state(folder.path(), "core.internal", samples::kLedger);
  REQUIRE(loaded);
  REQUIRE(*loaded);
  CHECK((*loaded)->version == 7);
  CHECK((*loaded)->release_hash == sha256("r"));
  CHECK((*loaded)->proposed_hash == sha256("p"));
  CHECK((*loaded)->commit == "abc");
  const auto ignored = read_file(folder.path() / ".notp/.gitignore", 100);
  REQUIRE(ignored);
  CHECK(*ignored == "state.json\n");
  REQUIRE(write_file(folder.path() / ".notp/.gitignore", "mine"));
  REQUIRE(save_state(folder.path(), state));
  REQUIRE(save_state(folder.path(), state));
  CHECK(*read_file(folder.path() / ".notp/.gitignore", 100) == "mine\nstate.json\n");
  CHECK_FALSE(*load_state(folder.path(), "other.internal", samples::kLedger));
  CHECK_FALSE(*load_state(folder.path(), "core.internal", {273165098782, "other"}));
  for (const char* bad : {"", "[]", "{}", R"({"version": "7"})"}) {
    REQUIRE(write_file(folder.path() / ".notp/state.json", bad));
    CHECK_FALSE(load_state(folder.path(), "core.internal", samples::kLedger));
  }
}

TEST_CASE("an artifact is opened only when root, floor and content agree") {
  const auto roots = chain_of({samples::root()});
  const PulledRelease one = signed_release(1, {{"a", "one"}}),
                      two = signed_release(2, {{"a", "2"}}, 2, &one);
  const Bytes artifact = full_artifact(two, two.content);
  const auto open = [&](ByteView bytes, const trust::Floor& floor) {
    return open_artifact(bytes, nullptr, roots, samples::kLedger, floor);
  };
  REQUIRE(open(artifact, floor_at(one)));
  CHECK(*file_content(open(artifact, {})->content, "a").value() == "2");
  CHECK(open(artifact, floor_at(two)));

  CHECK(open(full_artifact(one, one.content), floor_at(two)).error().code == ErrorCode::kRollback);
  const PulledRelease twin = signed_release(2, {{"a", "other"}});
  CHECK(open(full_artifact(twin, twin.content), floor_at(two)).error().code ==
        ErrorCode::kEquivocation);
  const PulledRelease foreign = signed_release(3, {{"a", "2"}}, /*signer=*/9);
  CHECK(open(full_artifact(foreign, foreign.content), {}).error().code == ErrorCode::kSignature);
  const model::ModelContent other = samples::model_of({{"a", "3"}});
  CHECK(open(full_artifact(two, other), {}).error().code == ErrorCode::kContentRoot);
  CHECK_FALSE(open(ByteView(artifact).substr(0, artifact.size() / 2), {}));
  CHECK(open_artifact(artifact, nullptr, roots, {273165098782, "other"}, {}).error().code ==
        ErrorCode::kWrongTarget);
}

TEST_CASE("a release is opened under a root that lets it hold what it holds") {
  trust::Root strict = samples::root();
  strict.version = 2;
  strict.delegations.front().content = trust::ContentRule::kKeys;
  const PulledRelease policy = signed_release(1, {{"a.rego", "package a"}});
  const Bytes artifact = full_artifact(policy, policy.content);
  // It was published under the root before.
  const auto older =
      open_artifact(artifact, nullptr, chain_of({samples::root(), strict}), samples::kLedger, {});
  REQUIRE(older);
  CHECK(older->root_version == 1);
  const auto never = open_artifact(artifact, nullptr, chain_of({strict}), samples::kLedger, {});
  REQUIRE_FALSE(never);
  CHECK(never.error().code == ErrorCode::kWrongTarget);
  CHECK(never.error().message.contains("key sets alone"));
}

TEST_CASE("a delta gives the whole content, what the base already had included") {
  const auto roots = chain_of({samples::root()});
  const PulledRelease one = signed_release(1, {{"a", "one"}, {"kept", "same"}});
  const PulledRelease two = signed_release(2, {{"a", "two"}, {"kept", "same"}}, 2, &one);
  const delta::ReleaseContent base{one.verified.envelope, one.content.tree.get(),
                                   one.content.loader()};
  const Bytes delta = delta::encode_artifact(&base, {two.verified.envelope, two.content.tree.get(),
                                                     two.content.loader()})
                          .value();
  const auto opened = open_artifact(delta, &one, roots, samples::kLedger, floor_at(one));
  REQUIRE(opened);
  CHECK(*file_content(opened->content, "a").value() == "two");
  CHECK(*file_content(opened->content, "kept").value() == "same");
}

TEST_CASE("an expired release can still be looked at") {
  const PulledRelease made = [] {
    PulledRelease release = signed_release(1, {{"a", "one"}});
    trust::Release expiring = release.release();
    expiring.expires_ms = samples::kIssuedMs + 1;
    release.verified = read_as(expiring, 2);
    return release;
  }();
  const auto roots = chain_of({samples::root()});
  CHECK(verify_ignoring_expiry(made.verified.envelope, roots, samples::kLedger, {}));
  trust::Trusted trusted;
  trusted.root = roots.front();
  trust::Update update;
  update.release = made.verified.envelope;
  update.release_ledger = samples::kLedger;
  const trust::Verdict verdict = trust::verify_update(update, trusted, samples::kIssuedMs + 1);
  REQUIRE(verdict.error);
  CHECK(verdict.error->code == ErrorCode::kExpired);
}

TEST_CASE("a release outlives the keys that signed it, and says under which root it stands") {
  trust::Root next = samples::root();
  next.version = 2;
  next.delegations = {{"*/*", samples::public_keys({3}), 1}};
  const auto roots = chain_of({samples::root(), next});
  const auto under = [&](uint8_t signer) {
    return verify_ignoring_expiry(signed_release(1, {{"a", "1"}}, signer).verified.envelope, roots,
                                  samples::kLedger, {});
  };
  REQUIRE(under(3));
  CHECK(under(3)->root_version == 2);
  REQUIRE(under(2));
  CHECK(under(2)->root_version == 1);
  REQUIRE_FALSE(under(9));
  CHECK(under(9).error().code == ErrorCode::kSignature);
}

TEST_CASE("the cache keeps the last four, trusts nothing it reads, and follows the root") {
  const TemporaryFolder folder;
  const Environment environment{{"XDG_CACHE_HOME", folder.path().string()}};
  const ReleaseCache cache(environment, chain_of({samples::root()}));
  CHECK_FALSE(cache.newest(samples::kLedger));
  for (uint64_t version = 1; version <= 6; ++version)
    cache.keep(signed_release(version, {{"a", std::to_string(version)}}));
  CHECK_FALSE(cache.find(samples::kLedger, 1));
  const auto newest = cache.newest(samples::kLedger);
  REQUIRE(newest);
  CHECK(newest->release().version == 6);

  const fs::path files = folder.path() / "notp" / samples::kDomain / "273165098782/payments";
  CHECK(std::distance(fs::directory_iterator(files), {}) == 4);
  REQUIRE(write_file(files / "v6.artifact", "damaged"));
  CHECK(cache.newest(samples::kLedger)->release().version == 5);
  CHECK_FALSE(fs::exists(files / "v6.artifact"));
  // A file under another version's name does not count as that version.
  fs::copy_file(files / "v5.artifact", files / "v9.artifact");
  CHECK(cache.newest(samples::kLedger)->release().version == 5);

  trust::Root other = samples::root();
  other.delegations = {{"*/*", samples::public_keys({7}), 1}};
  CHECK_FALSE(ReleaseCache(environment, chain_of({other})).newest(samples::kLedger));
  CHECK(cache.newest(samples::kLedger)->release().version == 5);
  CHECK_FALSE(ReleaseCache({}, chain_of({samples::root()})).newest(samples::kLedger));
}

TEST_CASE("a deny list is a valid model, names each identity once, and lets it in again") {
  const std::string edge = "spiffe://core.internal/node/edge-1";
  const auto empty = empty_deny_list();
  REQUIRE(empty);
  const auto denied = deny(*empty, edge, "stolen", "2026-07-01T12:00:00Z");
  REQUIRE(denied);
  const auto report = cli::check_content(*denied);
  REQUIRE(report);
  CHECK_MESSAGE(report->valid(), model::findings_text(report->findings));
  CHECK(report->manifest.data_roots == std::vector<std::string>{std::string(kDeniedRoot)});
  const json::value list = parse_json(*file_content(*denied, kDeniedFile).value()).value();
  CHECK(list.at("identities").at(edge).at("reason") == "stolen");
  CHECK(deny(*denied, edge, "again", "").error().code == ErrorCode::kConflict);
  const auto back = readmit(*denied, edge);
  REQUIRE(back);
  CHECK(back->tree->content_root() == empty->tree->content_root());
  CHECK(readmit(*back, edge).error().code == ErrorCode::kNotFound);
  CHECK(deny(samples::model_of({{"a", "1"}}), edge, "", "").error().code == ErrorCode::kNotFound);
}

TEST_CASE("lengths of time and identities as people write them") {
  CHECK(parse_duration("90s").value() == 90'000);
  CHECK(parse_duration("1h").value() == 3'600'000);
  CHECK(parse_duration("2d").value() == 172'800'000);
  for (const char* bad : {"", "h", "0h", "1", "1w", "-1h", "1 h", "99999999d"})
    CHECK_MESSAGE(parse_duration(bad).error().code == ErrorCode::kUsage, bad);
  // Terms of a release: a length of time, or as before a number of seconds however large.
  for (const auto& [text, seconds] : std::map<std::string, uint64_t>{
           {"90s", 90}, {"5m", 300}, {"30d", 2'592'000}, {"300", 300}, {"31536000", 31'536'000}}) {
    CAPTURE(text);
    CLI::App app;
    PublishTerms terms;
    declare_terms(app, terms);
    for (const char* option : {"--stale-after", "--fresh-s"}) {
      app.parse(fmt::format("{} {} --hard-s {}", option, text, text));
      CHECK(terms.fresh_s == seconds);
      CHECK(terms.hard_s == seconds);
    }
    CHECK_THROWS_AS(app.parse("--expire-after 0"), CLI::ValidationError);
  }
  CHECK(named_identity("edge-1", "core.internal")->text() == "spiffe://core.internal/node/edge-1");
  CHECK(named_identity("publisher/alice", "core.internal")->role == session::Role::kPublisher);
  const std::string full = "spiffe://core.internal/admin/eve";
  CHECK(named_identity(full, "core.internal")->text() == full);
  for (const char* bad : {"", "a b", "robot/x", "spiffe://other.internal/node/edge-1"})
    CHECK_MESSAGE(named_identity(bad, "core.internal").error().code == ErrorCode::kUsage, bad);
}
