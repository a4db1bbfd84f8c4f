// protocol/model: names, paths and the content root.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <random>
#include <vector>

#include "common/limits.hpp"
#include "protocol/model/ledger.hpp"
#include "protocol/model/path.hpp"
#include "protocol/model/tree.hpp"

using namespace notp;
using namespace std::string_literals;

namespace {

Result<model::Tree> tree_of(const std::vector<std::string>& paths) {
  model::Files files;
  for (const std::string& path : paths)
    files.emplace(path, model::FileEntry{model::blob_hash(path), path.size()});
  return model::Tree::make(std::move(files));
}

model::Tree tree_of_texts(const std::map<std::string, std::string>& texts) {
  model::Files files;
  for (const auto& [path, text] : texts)
    files.emplace(path, model::FileEntry{model::blob_hash(text), text.size()});
  auto tree = model::Tree::make(std::move(files));
  REQUIRE_MESSAGE(tree.has_value(), tree.error().message);
  return *std::move(tree);
}

}  // namespace

TEST_CASE("ledger names follow their rules") {
  const auto ledger = model::LedgerId::parse("100000000000/payments-eu.v2");
  REQUIRE(ledger);
  CHECK(ledger->text() == "100000000000/payments-eu.v2");
  CHECK(ledger->uri("core.internal") ==
        "ztauth://core.internal/100000000000/ledgers/payments-eu.v2");
  CHECK(model::LedgerId::parse_uri(ledger->uri("core.internal"), "core.internal") == *ledger);
  CHECK_FALSE(model::LedgerId::parse_uri(ledger->uri("core.internal"), "other.internal"));
  for (const std::string bad :
       {"", "payments", "/payments", "99999999999/a", "1000000000000/a", "0100000000000/a",
        "+100000000000/a", "100000000000 /a", "100000000000/", "100000000000/A", "100000000000/a/b",
        "100000000000/.git", "100000000000/a.git", "100000000000/a.", "100000000000/-a",
        "100000000000/a\n", "99999999999999999999999/a"}) {
    CAPTURE(bad);
    const auto refused = model::LedgerId::parse(bad);
    REQUIRE_FALSE(refused);
    CHECK(refused.error().code == ErrorCode::kUsage);
  }
  CHECK(model::LedgerId::parse("100000000000/" + std::string(128, 'a')));
  CHECK_FALSE(model::LedgerId::parse("100000000000/" + std::string(129, 'a')));
}

TEST_CASE("trust domains are lower-case DNS-like names") {
  CHECK(model::check_trust_domain("core-platform.internal"));
  CHECK(model::check_trust_domain("a"));
  for (const std::string& bad : {""s, "Core"s, "a..b"s, ".a"s, "a."s, "-a"s, "a-.b"s, "a_b"s,
                                 "a/b"s, "a\0b"s, std::string(64, 'a'), std::string(129, 'a')}) {
    CAPTURE(bad);
    CHECK_FALSE(model::check_trust_domain(bad));
  }
}

TEST_CASE("ledger patterns cover exact names, prefixes and everything") {
  const model::LedgerId ledger{100000000000, "payments"};
  for (const auto* covers :
       {"100000000000/payments", "*/payments", "*/*", "1000*/pay*", "100000000000/*"})
    CHECK_MESSAGE(model::ledger_matches(covers, ledger), covers);
  for (const auto* not_covers : {"", "*", "100000000000/pay", "100000000001/payments", "*/Payments",
                                 "*/*ments", "*/payments/", "2*/*", "/payments", "*/"})
    CHECK_MESSAGE(!model::ledger_matches(not_covers, ledger), not_covers);
}

TEST_CASE("paths that a model may hold") {
  for (const std::string& path :
       {"manifest.json"s, "policies/team 1/allow.rego"s, "a/b/c/data.json"s,
        "caf\xc3\xa9/data.json"s, "\xe6\x97\xa5\xe6\x9c\xac/data.json"s, "a.b-c_d/x~1/data.json"s,
        "git/data.json"s, "digit~1/data.json"s, std::string(200, 'x'), "..."s + "a"}) {
    const auto checked = model::check_path(path);
    CHECK_MESSAGE(checked.has_value(), (checked ? "" : checked.error().message));
  }
}

TEST_CASE("hostile paths are refused by the rule they break") {
  std::string deep = "a";
  for (size_t i = 0; i < limits::kPathDepthMax; ++i) deep += "/a";
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"", "empty"},
      {"..", "\"..\""},
      {"../a", "\"..\""},
      {"a/../b", "\"..\""},
      {".", "\".\""},
      {"a/./b", "\".\""},
      {"/etc/passwd", "empty segment"},
      {"a//b", "empty segment"},
      {"a/", "empty segment"},
      {"/", "empty segment"},
      {"a\\b", "backslash"},
      {"..\\a", "backslash"},
      {"C:/a", "colon"},
      {"a/data.json::$DATA", "colon"},
      {"a\0b"s, "control"},
      {"a\nb", "control"},
      {"a\x7f", "control"},
      {"a\xc2\x85", "control"},
      {"a\xe2\x80\xa8", "control"},
      {"a ", "space"},
      {" a", "space"},
      {"a /b", "space"},
      {"a\xc2\xa0", "space"},
      {"a.", "dot"},
      {"a./b", "dot"},
      {".git", "Git"},
      {".GIT", "Git"},
      {".Git/config", "Git"},
      {"a/.git/hooks/pre-commit", "Git"},
      {".gitmodules", "Git"},
      {".gitattributes", "Git"},
      {".gitignore", "Git"},
      {"git~1", "Git"},
      {"GIT~2/config", "Git"},
      {"gitmod~1", "Git"},
      {"gi7eba~1", "Git"},
      {".git ", "space"},
      {".git.", "dot"},
      {".g\xe2\x80\x8cit", "invisible"},
      {".g\xe2\x80\x8dit", "invisible"},
      {"\xef\xbb\xbf.git", "invisible"},
      {".gi\xe2\x80\xaet", "invisible"},
      {"a\xc2\xad", "invisible"},
      {"a\xef\xb8\x8f", "invisible"},
      {"\xef\xbc\x8egit", "Git"},           // full-width full stop
      {".g\xef\xbd\x89t", "Git"},           // full-width i
      {"cafe\xcc\x81", "normalisation"},    // e and a combining acute accent
      {"\xe2\x84\xab", "normalisation"},    // the Angstrom sign, in NFC the letter
      {"\xee\x80\x80", "does not define"},  // private use
      {"\xef\xbf\xbf", "does not define"},  // a noncharacter
      {"\xff\xfe", "UTF-8"},
      {"a\xc3", "UTF-8"},
      {"\xc0\xae\xc0\xae/a", "UTF-8"},  // an overlong ".."
      {"\xed\xa0\x80", "UTF-8"},        // a surrogate
      {"\xf4\x90\x80\x80", "UTF-8"},    // over U+10FFFF
      {std::string(201, 'a'), "200 bytes"},
      {std::string(4096, 'a'), "512 bytes"},
      {deep, "deeper"},
  };
  for (const auto& [path, words] : cases) {
    CAPTURE(printable(path));
    const auto checked = model::check_path(path);
    REQUIRE_FALSE(checked);
    CHECK(checked.error().code == ErrorCode::kInvalidModel);
    CHECK_MESSAGE(checked.error().message.find(words) != std::string::npos,
                  checked.error().message);
    CHECK(is_utf8(checked.error().message));
    CHECK_FALSE(model::Tree::make({{path, model::FileEntry{}}}));
  }
}

TEST_CASE("twins and file-and-folder clashes name both paths") {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"a/Data.json", "a/data.json"},
      {"A/x.rego", "a/y.rego"},
      {"a/b/C/x.rego", "a/b/c/y.rego"},
      {"caf\xc3\x89/x", "caf\xc3\xa9/y"},  // É, é
      {"stra\xc3\x9f"
       "e",
       "STRASSE"},  // ß folds to ss
      {"\xe2\x84\xaa"
       "ey",
       "key"},                     // never in NFC: refused as a path
      {"\xef\xac\x81le", "file"},  // the fi ligature
      {"a", "a/b"},
      {"a/b", "a/b/c/d"},
      {"A", "a/b"},
  };
  for (const auto& [one, other] : cases) {
    CAPTURE(one);
    CAPTURE(other);
    const auto tree = tree_of({one, other, "zzz"});
    REQUIRE_FALSE(tree);
    CHECK(tree.error().code == ErrorCode::kInvalidModel);
    if (model::check_path(one)) {
      CHECK(tree.error().message.find(one.substr(0, one.find('/'))) != std::string::npos);
      CHECK(tree.error().message.find(other.substr(0, other.find('/'))) != std::string::npos);
    }
  }
  CHECK(tree_of({"a", "a-b", "a.b/c", "ab/c", "b/a", "b/c/a"}));
}

// Computed independently. In Python, with H = lambda b: hashlib.sha256(b).digest():
//   blob(c) = H(b"notp.blob.v1\0" + struct.pack(">Q", len(c)) + c)
//   tree(d) = H(b"notp.tree.v1\0" + b"".join(bytes([kind, len(name)]) + name + hash
//             for name, kind, hash in sorted entries))      kind 1: blob, 2: folder
TEST_CASE("content roots agree with independently computed ones") {
  CHECK(model::blob_hash("").hex() ==
        "87e4380254c6c0a891f7f9efc4f19c8e0c7c2573c0483bb3e28eb510c52423b8");
  CHECK(model::blob_hash("notp").hex() ==
        "fe8731b5faf1a06d3c8f33b0c602cf2762cd09de60da5b7cacd080095960e471");
  CHECK(model::Tree::make({})->content_root().hex() ==
        "cf6285ced237b81eb162e077f1897cef251b6f8a205552fbb8440838fb0aa56d");
  // "a-b" sorts before "a/" as a path and after "a" as a name.
  const model::Tree tree = tree_of_texts({{"manifest.json", "{}"},
                                          {"a/data.json", "{\"x\":1}"},
                                          {"a/b/data.json", "{}"},
                                          {"a-b/p.rego", "package a\n"},
                                          {"a.rego", "package a\n"},
                                          {"\xc3\xa9/data.yaml", "x: 1\n"}});
  CHECK(tree.content_root().hex() ==
        "1153f71b2725366e3800708c02baf24ffe5d4e66fa8d4302d79afe6a45c76b65");
  const auto& folders = tree.folders();
  CHECK(folders.size() == 5);
  CHECK(folders.at("a").hex() ==
        "a56a5d1e42a9ae907c256e1510cda752679896a89e3ef81850ebf8a17a286dc0");
  CHECK(folders.at("a/b") == tree_of_texts({{"data.json", "{}"}}).content_root());
  CHECK(folders.at("") == tree.content_root());
  CHECK(tree.total_bytes() == 2 + 7 + 2 + 10 + 10 + 5);
}

TEST_CASE("the content root depends on paths and content, never on the order of insertion") {
  std::vector<std::string> paths;
  for (int i = 0; i < 200; ++i) paths.push_back(fmt::format("t{}/s-{}/f{}", i % 7, i % 3, i));
  const Hash root = tree_of(paths)->content_root();
  std::mt19937 random(7);
  for (int round = 0; round < 20; ++round) {
    std::ranges::shuffle(paths, random);
    CHECK(tree_of(paths)->content_root() == root);
  }
  paths.back() += "x";
  CHECK(tree_of(paths)->content_root() != root);
}

TEST_CASE("trees keep to the signed limits") {
  model::Files big{{"a", {Hash{}, limits::kBlobBytesMax + 1}}};
  CHECK_FALSE(model::Tree::make(big));
  model::Files many;
  for (int i = 0; i < 5; ++i)
    many.emplace(fmt::format("f{}", i), model::FileEntry{Hash{}, limits::kBlobBytesMax});
  CHECK_FALSE(model::Tree::make(many));
  many.erase("f4");
  CHECK(model::Tree::make(many));
  model::Files overflow;
  overflow.emplace("a", model::FileEntry{Hash{}, UINT64_MAX});
  overflow.emplace("b", model::FileEntry{Hash{}, 2});
  CHECK_FALSE(model::Tree::make(overflow));
}
