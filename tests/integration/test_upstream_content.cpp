// The model in a commit of an upstream repository: the same as of a folder on disk, whatever its
// author does to names, modes, links and sizes.
#include <doctest/doctest.h>

#include <array>

#include "tests/support/process/opened_upstream.hpp"
#include "tools/notp/publish/model_folder.hpp"

using namespace notp;
using cli::FolderContent;
using cli::Upstream;
using cli::UpstreamTip;

namespace {

struct Built : OpenedUpstream {
  // Objects made without git's checks of a working tree.
  std::string blob(const std::string& text) { return object("blob", text); }
  std::string tree(const std::vector<std::array<std::string, 3>>& entries) {  // mode, name, id
    std::string text;
    for (const auto& [mode, name, id] : entries)
      text += mode + " " + name + std::string(1, '\0') + must(from_hex(id));
    return object("tree", text);
  }
  std::string object(const std::string& type, const std::string& text) {
    const std::string file = site.file("object");
    must(write_file(file, text));
    return repository.run({"hash-object", "-t", type, "-w", "--literally", file});
  }
  void push_tree(const std::string& tree) {
    const std::string commit = repository.run({"commit-tree", "-m", "x", tree});
    repository.run({"push", "-q", "--force", "origin", commit + ":refs/heads/main"});
  }
  Result<FolderContent> read() {
    Upstream upstream = open();
    return upstream.content(fetched(upstream));
  }
};

std::vector<std::string> rules_of(const FolderContent& content) {
  std::vector<std::string> out;
  for (const auto& finding : content.findings) out.push_back(finding.rule + " " + finding.path);
  std::ranges::sort(out);
  return out;
}

}  // namespace

TEST_CASE("a commit is read as the same folder on disk") {
  Built at;
  at.config.path = "policies";
  at.repository.write("policies/shop/policy.rego", kPolicy)
      .write("policies/shop/data.json", R"({"a": 1})")
      .write("policies/shop/big/data.json", fmt::format("[\"{}\"]", std::string(20 << 20, 'x')))
      .write("policies/shop/skipped/policy.rego", kPolicy)
      .write("policies/shop/testdata/policy.rego", kPolicy)
      .write("policies/shop/.hidden/policy.rego", kPolicy)
      .write("policies/shop/sch\xc3\xb6n/policy.rego", kPolicy)
      .write("policies/shop/Case/policy.rego", kPolicy)
      .write("policies/shop/case/policy.rego", kPolicy)
      .write("policies/README.md", "x")
      .write("policies/shop.yaml", "a: 1\n")
      .write("policies/.manifest", R"({"roots": ["shop"], "revision": "7"})")
      .write("policies/.notpignore", "skipped/\n");
  const auto work = at.repository.work() / "policies";
  std::filesystem::permissions(work / "shop/policy.rego", std::filesystem::perms::all);
  std::filesystem::create_symlink("policy.rego", work / "shop/linked.rego");
  std::filesystem::create_directory_symlink("../shop/big", work / "shop/linked");
  std::filesystem::create_symlink("/etc/passwd", work / "shop/outside.rego");
  std::filesystem::create_symlink("../../../etc/passwd", work / "shop/above.rego");
  std::filesystem::create_symlink("loop.rego", work / "shop/loop.rego");
  std::filesystem::create_symlink("nowhere.rego", work / "shop/nowhere.rego");
  at.repository.commit("all of it");
  at.repository.push();
  const FolderContent ours = must(at.read());
  const FolderContent disk = must(cli::read_model_folder(work.string()));
  CHECK(ours.content.tree->content_root() == disk.content.tree->content_root());
  CHECK(rules_of(ours) == rules_of(disk));
  CHECK(rules_of(ours).size() >= 4);
  CHECK(ours.warnings.size() == disk.warnings.size());
  CHECK(ours.left_out_count == disk.left_out_count);
  CHECK(ours.content.blobs.size() == disk.content.blobs.size());
  for (const auto& [path, entry] : ours.content.tree->files()) {
    REQUIRE_MESSAGE(ours.content.blobs.contains(entry.hash), path);
    CHECK_MESSAGE(ours.content.blobs.at(entry.hash)->size() == entry.bytes, path);
  }
}

TEST_CASE("submodules and files too large are refused or left out by name, and the rest is read") {
  Built at;
  const std::string policy = at.blob(kPolicy), folder = at.tree({{"100644", "a.rego", policy}});
  at.push_tree(at.tree({{"100644", "a.rego", policy},
                        {"160000", "linked", std::string(40, '1')},
                        {"160000", "module.rego", std::string(40, '1')},
                        {"40000", "sub", folder}}));
  const FolderContent content = must(at.read());
  CHECK(content.content.tree->files().size() == 2);
  CHECK(rules_of(content) == std::vector<std::string>{"file-mode module.rego"});

  at.config.disk_bytes_max = 1ULL << 30;
  const std::string bomb = at.blob(std::string((256 << 20) + 1, ' '));  // packs to 256 KiB
  at.push_tree(at.tree({{"100644", "a.rego", policy}, {"100644", "data.json", bomb}}));
  const FolderContent large = must(at.read());
  CHECK(rules_of(large) == std::vector<std::string>{"file-size data.json"});
  CHECK(large.content.tree->files().size() == 1);
}

TEST_CASE("trees that contain themselves over and over end at a limit") {
  Built at;
  const std::string policy = at.blob(kPolicy);
  // 10 folders of 10 folders of …: 10^9 paths in ten objects.
  std::string wide = at.tree({{"100644", "a.txt", policy}});
  for (int level = 0; level < 9; ++level) {
    std::vector<std::array<std::string, 3>> entries;
    for (char c = '0'; c <= '9'; ++c) entries.push_back({"40000", std::string(1, c), wide});
    wide = at.tree(entries);
  }
  at.push_tree(wide);
  const auto many = at.read();
  REQUIRE_FALSE(many);
  CHECK_MESSAGE(many.error().code == ErrorCode::kInvalidModel, many.error().message);
  // The same with long names: the limit of all paths comes first.
  const std::string name(250, 'n');
  std::string longer = at.tree({{"100644", "a.txt", policy}});
  for (int level = 0; level < 20; ++level) {
    std::vector<std::array<std::string, 3>> entries;
    for (char c = '0'; c <= '3'; ++c) entries.push_back({"40000", name + c, longer});
    longer = at.tree(entries);
  }
  at.push_tree(longer);
  const auto paths = at.read();
  REQUIRE_FALSE(paths);
  CHECK_MESSAGE(paths.error().message.contains("paths"), paths.error().message);
  // Deep: a finding, not a crash.
  std::string deep = at.tree({{"100644", "a.rego", policy}});
  for (int level = 0; level < 300; ++level) deep = at.tree({{"40000", "d", deep}});
  at.push_tree(at.tree({{"100644", "a.rego", policy}, {"40000", "d", deep}}));
  const FolderContent content = must(at.read());
  CHECK(content.content.tree->files().size() == 1);
  CHECK(content.findings.size() == 1);
  // A name that no file system has.
  at.push_tree(at.tree({{"100644", std::string(5'000, 'n') + ".rego", policy}}));
  CHECK(at.read().error().code == ErrorCode::kInvalidModel);
}

TEST_CASE("a commit with a hundred thousand files is read, one with more is refused") {
  Built at;
  // All files have one content: this is about names.
  const std::string policy = at.blob("{}");
  const auto folders = [&](int count) {
    std::vector<std::array<std::string, 3>> entries;
    const std::string leaf = at.tree({{"100644", "data.json", policy}});
    for (int i = 0; i < 1'000; ++i) entries.push_back({"40000", fmt::format("d{:04}", i), leaf});
    const std::string thousand = at.tree(entries);
    entries.clear();
    for (int i = 0; i < count; ++i)
      entries.push_back({"40000", fmt::format("t{:04}", i), thousand});
    return at.tree(entries);
  };
  at.push_tree(folders(100));
  const FolderContent content = must(at.read());
  CHECK(content.content.tree->files().size() == 100'000);
  at.push_tree(folders(101));
  const auto more = at.read();
  REQUIRE_FALSE(more);
  CHECK(more.error().code == ErrorCode::kInvalidModel);
}
