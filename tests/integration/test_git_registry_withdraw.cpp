// Withdrawn releases: in memory, after a restart, in stock git, and after damage.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <functional>

#include "common/limits.hpp"
#include "tests/support/registry/git_ledgers.hpp"

namespace notp {
namespace {

const std::string kBob = "spiffe://core-platform.internal/admin/bob";
constexpr TimeMs kAtMs = samples::kIssuedMs + 3'600'000;  // 2023-11-14T23:13:20Z

registry::ReleaseInfoPtr withdraw(registry::GitRegistry& registry, uint64_t version,
                                  std::string_view reason) {
  auto withdrawn = registry.withdraw(kLedger, version, reason, kBob, kAtMs);
  REQUIRE_MESSAGE(withdrawn.has_value(), (withdrawn ? "" : withdrawn.error().message));
  return *withdrawn;
}

std::vector<Hash> hashes_of(const registry::GitRegistry& registry,
                            std::initializer_list<uint64_t> versions) {
  std::vector<Hash> hashes;
  for (const uint64_t version : versions)
    hashes.push_back(registry.info(kLedger, version).value()->ref.release_hash);
  std::ranges::sort(hashes);
  return hashes;
}

TEST_CASE("a withdrawal is known at once, after a restart and to stock git, the head's too") {
  const TemporaryFolder data;
  const fs::path repository = repository_of(data.path());
  const std::string said = "it lets everybody in (admin/bob at 2023-11-14T23:13:20Z)";
  {
    const auto registry = open(data.path());
    for (int step = 1; step <= 4; ++step) publish_files(*registry, texts(step));
    CHECK(registry->withdrawn(kLedger).empty());
    CHECK(withdraw(*registry, 2, "it lets everybody in")->withdrawn == said);
    withdraw(*registry, 4, "a key is stolen\n\nsee the incident");
    CHECK(registry->withdrawn(kLedger) == hashes_of(*registry, {2, 4}));
    CHECK(registry->head(kLedger)->release.version == 4);
  }
  check_fsck(repository);
  CHECK(git_line(repository, {"tag", "-l"}) == "v1\nv2\nv3\nv4\nwithdrawn/v2\nwithdrawn/v4");
  CHECK(git_line(repository, {"cat-file", "-t", "withdrawn/v2"}) == "tag");
  CHECK(git_line(repository, {"rev-parse", "withdrawn/v2^{commit}"}) ==
        git_line(repository, {"rev-parse", "v2^{commit}"}));
  CHECK(git_line(repository, {"tag", "-l",
                              "--format=%(taggername)|%(taggeremail)|%(taggerdate:unix)|%(subject)",
                              "withdrawn/v2"}) ==
        "spiffe://core-platform.internal/admin/bob|<bob@admin.core-platform.internal>|1700003600|"
        "ztauth://core-platform.internal/273165098782/ledgers/payments v2 is withdrawn");
  CHECK(git_line(repository, {"tag", "-l", "--format=%(contents:trailers:key=Notp-Withdrawn-At)",
                              "withdrawn/v4"})
            .starts_with("Notp-Withdrawn-At: 2023-11-14T23:13:20Z"));

  const auto registry = open(data.path());
  REQUIRE(registry->damaged().empty());
  CHECK(registry->withdrawn(kLedger) == hashes_of(*registry, {2, 4}));
  CHECK(registry->info(kLedger, 2).value()->withdrawn == said);
  CHECK(registry->head(kLedger)->withdrawn ==
        "a key is stolen\n\nsee the incident (admin/bob at 2023-11-14T23:13:20Z)");
  std::vector<bool> marks;
  for (const registry::ReleaseInfoPtr& row : registry->history(kLedger, 0, 10).value())
    marks.push_back(!row->withdrawn.empty());
  CHECK(marks == std::vector<bool>{true, false, true, false});
  publish_files(*registry, texts(5));
  CHECK(registry->withdrawn(kLedger).size() == 2);
  check_fsck(repository);
}

TEST_CASE("a release is withdrawn once: the second time changes nothing") {
  const TemporaryFolder data;
  const auto registry = open(data.path());
  publish_files(*registry, texts(1));
  const std::string first = withdraw(*registry, 1, "wrong")->withdrawn;
  const std::string tag = git_line(repository_of(data.path()), {"rev-parse", "withdrawn/v1"});
  CHECK(withdraw(*registry, 1, "still wrong")->withdrawn == first);
  CHECK(git_line(repository_of(data.path()), {"rev-parse", "withdrawn/v1"}) == tag);
  CHECK(registry->withdrawn(kLedger).size() == 1);
}

TEST_CASE("what cannot be withdrawn is refused with the reason, and leaves nothing behind") {
  const TemporaryFolder data;
  const auto registry = open(data.path());
  const auto code_of = [&](uint64_t version, const std::string& reason,
                           const std::string& who = kBob, TimeMs at_ms = kAtMs) {
    const auto withdrawn = registry->withdraw(kLedger, version, reason, who, at_ms);
    REQUIRE_FALSE(withdrawn.has_value());
    return withdrawn.error().code;
  };
  CHECK(code_of(1, "no ledger") == ErrorCode::kNotFound);
  CHECK_FALSE(fs::exists(repository_of(data.path())));
  publish_files(*registry, texts(1));
  CHECK(code_of(2, "no release") == ErrorCode::kNotFound);
  CHECK(code_of(0, "no release") == ErrorCode::kNotFound);
  CHECK(code_of(1, "") == ErrorCode::kUsage);
  CHECK(code_of(1, " \n\t") == ErrorCode::kUsage);
  CHECK(code_of(1, "\xff") == ErrorCode::kUsage);
  CHECK(code_of(1, "x", "a <b>") == ErrorCode::kUsage);
  CHECK(code_of(1, "x", kBob, -1) == ErrorCode::kInternal);
  CHECK(code_of(1, std::string(limits::kErrorTextBytesMax - 10, 'x')) == ErrorCode::kLimit);
  CHECK(git_line(repository_of(data.path()), {"tag", "-l"}) == "v1");
  CHECK(registry->withdrawn(kLedger).empty());
}

TEST_CASE("a reason comes back as it was, whatever it looks like") {
  const TemporaryFolder data;
  const std::vector<std::string> reasons = {
      "one\n\ntwo\n\nthree",
      "x\n\nNotp-Version: 9\nNotp-Release: 00\nNotp-Withdrawn-By: me\nNotp-Withdrawn-At: now",
      "-----BEGIN NOTP ENVELOPE-----", "-----BEGIN PGP SIGNATURE-----\n", "Zugriff für alle: ✗"};
  std::vector<std::string> said;
  {
    const auto registry = open(data.path());
    for (size_t i = 0; i < reasons.size(); ++i) {
      publish_files(*registry, texts(static_cast<int>(i) + 1));
      said.push_back(withdraw(*registry, i + 1, reasons[i])->withdrawn);
    }
  }
  const auto registry = open(data.path());
  REQUIRE(registry->damaged().empty());
  for (size_t i = 0; i < reasons.size(); ++i)
    CHECK(registry->info(kLedger, i + 1).value()->withdrawn == said[i]);
  check_fsck(repository_of(data.path()));
}

TEST_CASE("of many withdrawals the newest are listed") {
  const TemporaryFolder data;
  const auto registry = open(data.path());
  const uint64_t count = limits::kWithdrawnMax + 2;
  for (uint64_t version = 1; version <= count; ++version) {
    const samples::Texts files = {{"manifest.json", "{}"}, {"n", std::to_string(version)}};
    publish_files(*registry, files);
    withdraw(*registry, version, "wrong");
  }
  const std::vector<Hash> listed = registry->withdrawn(kLedger);
  CHECK(listed.size() == limits::kWithdrawnMax);
  CHECK(std::ranges::is_sorted(listed));
  for (const uint64_t version : {uint64_t{1}, uint64_t{2}})
    CHECK_FALSE(std::ranges::count(
                    listed, registry->info(kLedger, version).value()->ref.release_hash) == 1);
  CHECK(std::ranges::count(listed, registry->info(kLedger, 3).value()->ref.release_hash) == 1);
}

// Runs in a child process, which a failpoint ends.
TEST_CASE("in a child: withdraw the head" * doctest::skip()) {
  const auto registry = open(std::getenv("NOTP_TEST_DATA"));
  withdraw(*registry, registry->head(kLedger)->release.version, "wrong");
}

TEST_CASE("after a crash in a withdrawal the release is withdrawn or not, and a retry succeeds") {
  for (const std::string point : {"registry.withdraw_after_pack", "registry.withdraw_after_tag"}) {
    CAPTURE(point);
    const TemporaryFolder data;
    publish_files(*open(data.path()), texts(1));
    const CommandResult child =
        run_command({fs::read_symlink("/proc/self/exe").string(), "--no-skip",
                     "--test-case=in a child: withdraw the head"},
                    {{"NOTP_TEST_DATA", data.path().string()}, {"NOTP_FAILPOINT", point}});
    REQUIRE(child.status == 137);
    check_fsck(repository_of(data.path()));
    const auto registry = open(data.path());
    REQUIRE(registry->damaged().empty());
    CHECK(registry->withdrawn(kLedger).size() == (point.ends_with("tag") ? 1 : 0));
    withdraw(*registry, 1, "wrong");
    CHECK(registry->withdrawn(kLedger).size() == 1);
    publish_files(*registry, texts(2));
    check_fsck(repository_of(data.path()));
  }
}

TEST_CASE("withdrawals survive stock gc, which packs references") {
  const TemporaryFolder data;
  {
    const auto registry = open(data.path());
    for (int step = 1; step <= 3; ++step) publish_files(*registry, texts(step));
    withdraw(*registry, 1, "wrong");
  }
  git_line(repository_of(data.path()), {"gc", "-q", "--prune=now"});
  {
    const auto registry = open(data.path());
    CHECK(registry->withdrawn(kLedger) == hashes_of(*registry, {1}));
    withdraw(*registry, 2, "wrong, too");
  }
  const auto registry = open(data.path());
  CHECK(registry->withdrawn(kLedger) == hashes_of(*registry, {1, 2}));
}

TEST_CASE("a withdrawal that something damaged makes the ledger corrupt") {
  const std::vector<std::pair<std::string, std::function<void(const fs::path&)>>> damages = {
      {"by hand",
       [](auto& r) { git_line(r, {"tag", "-f", "-a", "withdrawn/v2", "-m", "x", "v2^{}"}); }},
      {"a light tag",
       [](auto& r) { git_line(r, {"update-ref", "refs/tags/withdrawn/v2", "v2^{commit}"}); }},
      {"of another release",
       [](auto& r) { git_line(r, {"update-ref", "refs/tags/withdrawn/v3", "withdrawn/v2"}); }},
      {"above the head",
       [](auto& r) { git_line(r, {"update-ref", "refs/tags/withdrawn/v4", "withdrawn/v2"}); }},
      {"empty", [](auto& r) { fs::resize_file(r / "refs/tags/withdrawn/v2", 0); }},
      {"on another commit", [](auto& r) {
         std::string text = git_line(r, {"cat-file", "-p", "withdrawn/v2"});
         const std::string other = git_line(r, {"rev-parse", "v1^{commit}"});
         text.replace(text.find(' ') + 1, other.size(), other);
         const fs::path file = r / "text";
         std::ofstream(file) << text << "\n";
         const std::string tag = git_line(r, {"hash-object", "-t", "tag", "-w", file.string()});
         git_line(r, {"update-ref", "refs/tags/withdrawn/v2", tag});
         git_line(r, {"repack", "-q", "-a", "-d"});
         fs::remove(file);
       }}};
  for (const auto& [name, damage] : damages) {
    CAPTURE(name);
    const TemporaryFolder data;
    {
      const auto registry = open(data.path());
      for (int step = 1; step <= 3; ++step) publish_files(*registry, texts(step));
      withdraw(*registry, 2, "wrong");
    }
    damage(repository_of(data.path()));
    const auto registry = open(data.path());
    REQUIRE(registry->damaged().size() == 1);
    const Error error = registry->damaged()[0].error;
    CHECK(error.code == ErrorCode::kCorrupt);
    CHECK_MESSAGE(error.message.contains("withdrawn/v"), error.message);
    CHECK(registry->snapshot(kLedger, 1).error().code == ErrorCode::kCorrupt);
    CHECK(registry->withdraw(kLedger, 1, "x", kBob, kAtMs).error().code == ErrorCode::kCorrupt);
    CHECK(registry->withdrawn(kLedger).empty());
  }
}

TEST_CASE("tags of other names stay a person's own") {
  const TemporaryFolder data;
  {
    const auto registry = open(data.path());
    publish_files(*registry, texts(1));
  }
  const fs::path repository = repository_of(data.path());
  git_line(repository, {"update-ref", "refs/tags/withdrawn/v01", "v1"});
  git_line(repository, {"update-ref", "refs/tags/withdrawn/later", "v1"});
  git_line(repository, {"update-ref", "refs/tags/audited", "v1"});
  const auto registry = open(data.path());
  CHECK(registry->damaged().empty());
  CHECK(registry->withdrawn(kLedger).empty());
}

TEST_CASE("a withdrawal does not write into a ledger that others moved") {
  const TemporaryFolder data;
  const fs::path repository = repository_of(data.path());
  const auto registry = open(data.path());
  publish_files(*registry, texts(1));
  publish_files(*registry, texts(2));
  git_line(repository, {"update-ref", "refs/heads/main", "v1^{}"});
  const auto refused = registry->withdraw(kLedger, 1, "wrong", kBob, kAtMs);
  REQUIRE_FALSE(refused.has_value());
  CHECK(refused.error().code == ErrorCode::kCorrupt);
  CHECK(git_line(repository, {"tag", "-l"}) == "v1\nv2");
}

}  // namespace
}  // namespace notp
