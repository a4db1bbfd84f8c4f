// The files of a folder, a commit and an archive that are the model: the same for all three.
#include <archive.h>
#include <archive_entry.h>
#include <doctest/doctest.h>
#include <fmt/format.h>
#include <sys/stat.h>

#include "common/storage/files.hpp"
#include "tests/support/process/git.hpp"
#include "tests/support/temporary_folder.hpp"
#include "tests/support/wire/test_pki.hpp"
#include "tools/notp/git/git_checkout.hpp"
#include "tools/notp/publish/model_archive.hpp"
#include "tools/notp/publish/model_folder.hpp"
#include "tools/notp/publish/model_roots.hpp"

namespace notp {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kManifest =
    R"({"metadata": {"name": "shop"}, "runtimes": {"rego": {"language": {"name": "rego", "version": "1.0"}}},
        "partitions": {"/": {"runtime": "rego"}}, "roots": ["shop"]})";

struct Folder {
  TemporaryFolder temporary;
  fs::path top = temporary.path() / "shop-policies";

  Folder() { must(make_folders(top)); }
  void put(const std::string& path, std::string_view text) {
    must(make_folders((top / path).parent_path()));
    must(write_file(top / path, text));
  }
  void link(const std::string& path, const std::string& target) {
    must(make_folders((top / path).parent_path()));
    fs::create_symlink(target, top / path);
  }
  cli::FolderContent read() const { return must(cli::read_model_folder(top.string())); }
  std::vector<std::string> paths() const {
    std::vector<std::string> paths;
    for (const auto& [path, entry] : read().content.tree->files()) paths.push_back(path);
    return paths;
  }
  std::map<std::string, std::string> findings() const {
    std::map<std::string, std::string> findings;
    for (const model::ModelFinding& each : read().findings) findings[each.path] = each.message;
    return findings;
  }
  std::map<std::string, std::string> warnings() const {
    std::map<std::string, std::string> warnings;
    for (const model::ModelFinding& each : read().warnings) warnings[each.path] = each.message;
    return warnings;
  }
  // Commits everything, and reads it from Git's objects.
  std::optional<Hash> committed_root() {
    if (!fs::exists(top / ".git")) git(top, {"init", "-q", "-b", "main"});
    git(top, {"add", "-A", "-f"});
    git(top, {"commit", "-q", "--allow-empty", "-m", "all"});
    const Environment environment{{"PATH", std::getenv("PATH")},
                                  {"GIT_CONFIG_NOSYSTEM", "1"},
                                  {"HOME", temporary.path().string()}};
    auto checkout = must(cli::GitCheckout::find(top, environment));
    REQUIRE(checkout);
    return must(checkout->content_root(checkout->head()));
  }
  void check_equal_from_git() {
    const cli::FolderContent content = read();
    CHECK(content.findings.empty());
    CHECK(committed_root() == content.content.tree->content_root());
  }
};

TEST_CASE("what is no part of a model is left out, at any depth, and Git's objects agree") {
  Folder folder;
  for (const char* path : {"README.md",
                           "LICENSE",
                           "Makefile",
                           ".github/workflows/ci.yaml",
                           ".regal/config.yaml",
                           ".gitattributes",
                           "shop/README.md",
                           "shop/testdata/case.json",
                           "shop/testdata/data.json",
                           "shop/policy.rego~",
                           "shop/#policy.rego#",
                           "shop/.policy.rego.swp",
                           "shop/policy.rego.orig",
                           "policy.wasm",
                           ".signatures.json",
                           "schemas/input.json",
                           "shop/input.schema.json",
                           "a:b.md",
                           "shop/sub/.hidden/x.rego",
                           "package.json"})
    folder.put(path, "{}");
  folder.put("manifest.json", kManifest);
  folder.put("shop/policy.rego", "package shop\n");
  folder.put("shop/data.json", "{}");
  CHECK(folder.paths() ==
        std::vector<std::string>{"manifest.json", "shop/data.json", "shop/policy.rego"});
  CHECK(folder.warnings().empty());
  const cli::FolderContent read = folder.read();
  CHECK(read.left_out_count == read.left_out.size());
  CHECK(std::ranges::find(read.left_out, ".github/", &cli::LeftOut::path) != read.left_out.end());
  CHECK(std::ranges::find(read.left_out, "shop/testdata/", &cli::LeftOut::path) !=
        read.left_out.end());
  folder.check_equal_from_git();
  // A nested repository, which Git would not add.
  folder.put("shop/sub/.git/config", "x");
  CHECK(folder.paths().size() == 3);
}

TEST_CASE("what looks as if it was meant to be a part of the model is named") {
  Folder folder;
  folder.put("manifest.json", kManifest);
  folder.put("shop/policy.rego", "package shop\n");
  for (const char* path :
       {"shop/data.yml", "shop/Data.json", "shop/x.REGO", "manifest.yaml", "shop/roles.json",
        "shop/sub/limits.yaml", "shop/manifest.json", "keys/login/jwks.json", "roles.json",
        "shop/y.rego.txt", "shop/.notpignore"})
    folder.put(path, "{}");
  folder.put("deploy/pods.yaml", "{}");
  folder.put("shop/form.json", R"({"$schema": "http://json-schema.org/draft-07/schema#"})");
  const auto warnings = folder.warnings();
  CHECK(warnings.size() == 11);
  CHECK(warnings.at("shop/data.yml").contains("shop/data.yaml"));
  CHECK(warnings.at("shop/Data.json").contains("shop/data.json"));
  CHECK(warnings.at("shop/x.REGO").contains("shop/x.rego"));
  CHECK(warnings.at("shop/y.rego.txt").contains("shop/y.rego"));
  CHECK(warnings.at("shop/roles.json").contains("shop/roles/data.json (data.shop.roles)"));
  CHECK(warnings.at("shop/sub/limits.yaml").contains("shop/sub/limits/data.yaml"));
  CHECK(warnings.at("keys/login/jwks.json").contains("keys/login/data.json"));
  // Listing one in .notpignore resolves it, too.
  folder.put(".notpignore",
             "*.json\n!manifest.json\n*.yml\n*.yaml\n*.REGO\n*.txt\nshop/manifest.json\n");
  fs::remove(folder.top / "shop/.notpignore");
  CHECK(folder.warnings().empty());
  CHECK(folder.paths() == std::vector<std::string>{"manifest.json", "shop/policy.rego"});
  folder.check_equal_from_git();
}

TEST_CASE("links inside of the folder are followed, modes do not count") {
  Folder folder;
  folder.put("manifest.json", kManifest);
  folder.put("..2026_07_01/policy.rego", "package shop\n");
  folder.put("..2026_07_01/data.json", "{}");
  folder.link("..data", "..2026_07_01");
  folder.link("shop/policy.rego", "../..data/policy.rego");
  folder.link("shop/data.json", "../shop/../..data/data.json");
  folder.put("common/lib.rego", "package shop.lib\n");
  folder.link("shop/lib", "../common");
  folder.link("CONTRIBUTING.md", "/usr/share/doc/contributing.md");
  REQUIRE(::chmod((folder.top / "common/lib.rego").c_str(), 0755) == 0);
  CHECK(folder.paths() == std::vector<std::string>{"common/lib.rego", "manifest.json",
                                                   "shop/data.json", "shop/lib/lib.rego",
                                                   "shop/policy.rego"});
  folder.check_equal_from_git();
}

TEST_CASE("links that lead out, nowhere or in circles are findings where they would be the model") {
  Folder folder;
  folder.put("manifest.json", kManifest);
  must(make_folders(folder.temporary.path() / "shared"));
  must(write_file(folder.temporary.path() / "shared/x.rego", "package shop\n"));
  folder.link("shop/absolute.rego", "/etc/hosts");
  folder.link("shop/above.rego", "../../shared/x.rego");
  folder.link("shop/nowhere.rego", "gone.rego");
  folder.link("shop/circle.rego", "circle.rego");
  folder.link("shop/shared", "../../shared");
  folder.link("shop/up", "..");
  folder.link("shop/git.rego", "../.git/x.rego");
  folder.put(".git/x.rego", "x");
  folder.link("shop/NOTES", "../../shared");  // and this, as its name tells nothing
  const auto findings = folder.findings();
  CHECK(findings.at("shop/absolute.rego").contains("absolute path"));
  CHECK(findings.at("shop/above.rego").contains("leads out of the folder"));
  CHECK(findings.at("shop/nowhere.rego").contains("leads nowhere"));
  CHECK(findings.at("shop/circle.rego").contains("leads back to itself"));
  CHECK(findings.at("shop/shared").contains("leads out of the folder"));
  CHECK(findings.at("shop/up/").contains("leads back to a folder"));
  CHECK(findings.at("shop/git.rego").contains("leads into .git"));
  CHECK(findings.size() == 8);
}

TEST_CASE("names in form D are those in form C; two that become one are a finding") {
  Folder folder;
  folder.put("manifest.json", kManifest);
  folder.put("cafe\u0301/policy.rego", "package shop\n");
  CHECK(folder.paths() == std::vector<std::string>{"caf\u00e9/policy.rego", "manifest.json"});
  folder.check_equal_from_git();
  folder.put("caf\u00e9/other.rego", "package shop\n");
  CHECK(folder.findings().size() == 1);
  CHECK_FALSE(folder.committed_root());
}

TEST_CASE("a bundle's .manifest becomes the manifest, with roots, names and versions") {
  Folder folder;
  folder.put(".manifest",
             R"({"revision": "7", "rego_version": 0, "file_rego_versions": {"/shop/new/*.rego": 1},
                             "metadata": {"name": "The shop"}})");
  folder.put("shop/policy.rego", "package shop.authz\n");
  folder.put("shop/new/policy.rego", "# a comment\npackage shop.authz[\"new\"]\n");
  folder.put("shop/authz/data.json", "{}");
  folder.put("keys/login/data.json", R"({"keys": []})");
  const cli::FolderContent read = folder.read();
  REQUIRE(read.findings.empty());
  const model::FileEntry* const entry = read.content.tree->find("manifest.json");
  REQUIRE(entry);
  const model::Manifest manifest =
      must(model::Manifest::parse(*must(read.content.loader()(entry->hash))));
  CHECK(manifest.name == "The shop");
  CHECK(manifest.data_roots == std::vector<std::string>{"keys/login", "shop/authz"});
  CHECK(manifest.rego_version_of("shop/policy.rego") == 0);
  CHECK(manifest.rego_version_of("shop/new/policy.rego") == 1);
  folder.check_equal_from_git();
  folder.put(".manifest", R"({"roots": ["shop"]})");
  const cli::FolderContent plain = folder.read();
  const model::Manifest named = must(model::Manifest::parse(
      *must(plain.content.loader()(plain.content.tree->find("manifest.json")->hash))));
  CHECK(named.name == "shop-policies");
  CHECK(named.data_roots == std::vector<std::string>{"shop"});
  folder.put(".manifest", R"({"rego_version": 2})");
  CHECK(folder.findings().contains(".manifest"));
}

TEST_CASE("a bundle whose rules or data are elsewhere is refused, not taken for a smaller one") {
  Folder folder;
  folder.put(".manifest", R"({"roots": ["shop"],
      "wasm": [{"entrypoint": "shop/authz/allow", "module": "/policy.wasm"}]})");
  folder.put("policy.wasm", "compiled");
  folder.put("shop/policy.rego", "package shop.authz\n");
  CHECK(folder.findings().contains(".manifest"));
  Folder delta;
  delta.put(".manifest", R"({"roots": ["shop"]})");
  delta.put("patch.json", R"({"data": [{"op": "remove", "path": "/shop/x"}]})");
  CHECK(delta.findings().contains("patch.json"));
}

struct Packed {
  std::string name, text, link;
  int type = AE_IFREG;
};

fs::path pack(const fs::path& file, const std::vector<Packed>& entries) {
  archive* const out = archive_write_new();
  archive_write_set_format_pax_restricted(out);
  archive_write_add_filter_gzip(out);
  REQUIRE(archive_write_open_filename(out, file.c_str()) == ARCHIVE_OK);
  for (const Packed& each : entries) {
    archive_entry* const entry = archive_entry_new();
    archive_entry_set_pathname(entry, each.name.c_str());
    archive_entry_set_filetype(entry, static_cast<unsigned>(each.type));
    archive_entry_set_perm(entry, 0644);
    archive_entry_set_size(entry, static_cast<la_int64_t>(each.text.size()));
    if (each.type == AE_IFLNK) archive_entry_set_symlink(entry, each.link.c_str());
    if (each.type == AE_IFREG && !each.link.empty())
      archive_entry_set_hardlink(entry, each.link.c_str());
    REQUIRE(archive_write_header(out, entry) == ARCHIVE_OK);
    archive_write_data(out, each.text.data(), each.text.size());
    archive_entry_free(entry);
  }
  archive_write_close(out);
  archive_write_free(out);
  return file;
}

TEST_CASE("a bundle archive is read as its folder is; hostile ones are refused by name") {
  TemporaryFolder folder;
  const auto read = [&](const std::vector<Packed>& entries) {
    return cli::read_model_folder(pack(folder.path() / "shop.tar.gz", entries).string());
  };
  const Packed policy{"/shop/policy.rego", "package shop\n", ""};
  const cli::FolderContent bundle = must(read({policy, {"/data.json", "{\"shop\": {}}", ""}}));
  CHECK(bundle.findings.empty());
  CHECK(bundle.content.tree->files().size() == 3);
  CHECK(bundle.content.tree->find("manifest.json") != nullptr);
  const auto refused = [&](const std::vector<Packed>& entries, std::string_view why) {
    const auto result = read(entries);
    REQUIRE_FALSE(result);
    CHECK(result.error().code == ErrorCode::kInvalidModel);
    CHECK_MESSAGE(result.error().message.contains(why), result.error().message);
  };
  refused({{"shop/../../x.rego", "", ""}}, "shop/../../x.rego");
  refused({policy, {"shop/data.json", "{}", ""}}, "others do not");
  refused({{"x.rego", "", "/etc/passwd", AE_IFLNK}}, "x.rego");
  refused({{"y.rego", "", ""}, {"x.rego", "", "y.rego"}}, "x.rego");
  refused({{"pipe.rego", "", "", AE_IFIFO}}, "pipe.rego");
  refused({{"x.rego", "a", ""}, {"x.rego", "b", ""}}, "twice");
  refused({{"x", "a", ""}, {"x/y.rego", "b", ""}}, "twice");
  refused({{std::string(cli::kArchiveNameBytesMax, 'x') + ".rego", "", ""}}, "longer than");
  // 80 MB of one byte are some 80 KB.
  refused({{"data.json", std::string(80 << 20, ' '), ""}}, "times the archive's bytes");
  must(write_file(folder.path() / "text.tar.gz", "not an archive"));
  CHECK_FALSE(cli::read_model_folder((folder.path() / "text.tar.gz").string()));
}

}  // namespace
}  // namespace notp
