// Compares .notpignore with stock git for the same patterns.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <random>
#include <set>

#include "common/storage/files.hpp"
#include "tests/support/process/git.hpp"
#include "tests/support/temporary_folder.hpp"
#include "tests/support/wire/test_pki.hpp"
#include "tools/notp/publish/ignore_rules.hpp"

namespace notp {
namespace {

namespace fs = std::filesystem;

// Ignored by itself or by a folder above it.
bool is_ignored(cli::IgnoreRules& rules, const std::string& path, bool is_folder) {
  for (size_t slash = path.find('/'); slash != std::string::npos; slash = path.find('/', slash + 1))
    if (must(rules.line_ignoring(path.substr(0, slash), true)) != 0) return true;
  return must(rules.line_ignoring(path, is_folder)) != 0;
}

struct Tree {
  TemporaryFolder folder;
  std::vector<std::pair<std::string, bool>> paths;  // true: a folder

  Tree() {
    git(folder.path(), {"init", "-q"});
    for (const char* file : {"a",
                             "b.rego",
                             "ab",
                             "a b",
                             "a ",
                             "#x",
                             "!y",
                             "a-b",
                             "a]b",
                             "a[b",
                             "a\\b",
                             "é.rego",
                             "shop/a",
                             "shop/b.rego",
                             "shop/ab/a",
                             "shop/ab/b.rego",
                             "shop/q/b/c.rego",
                             "x/shop/a",
                             "x/y/shop/b.rego",
                             "foo/bar/baz",
                             "foobar/b",
                             "a1",
                             "A",
                             "x/A",
                             "x/y/z/a.json",
                             "x/a.json",
                             "d/.keep",
                             "aXb",
                             "x/a*b",
                             "tests/a_test.rego"}) {
      must(make_folders((folder.path() / file).parent_path()));
      must(write_file(folder.path() / file, ""));
    }
    for (auto entry = fs::recursive_directory_iterator(folder.path());
         entry != fs::recursive_directory_iterator(); ++entry) {
      const std::string path = fs::relative(entry->path(), folder.path()).string();
      if (path == ".git") {
        entry.disable_recursion_pending();
        continue;
      }
      paths.emplace_back(path, entry->is_directory());
    }
  }

  std::set<std::string> ignored_by_git(const std::string& patterns) {
    must(write_file(folder.path() / ".gitignore", patterns));
    std::string input;
    for (const auto& [path, is_folder] : paths) input += path + '\0';
    must(write_file(folder.path() / ".git/paths", input));
    const CommandResult result = run_command(
        {"git", "-C", folder.path().string(), "check-ignore", "--no-index", "-z", "--stdin"},
        {{"GIT_CONFIG_GLOBAL", "/dev/null"}, {"GIT_CONFIG_NOSYSTEM", "1"}},
        (folder.path() / ".git/paths").string());
    REQUIRE_MESSAGE(result.status <= 1, result.output);
    std::set<std::string> ignored;
    for (size_t begin = 0; begin < result.output.size();) {
      const size_t end = result.output.find('\0', begin);
      ignored.insert(result.output.substr(begin, end - begin));
      begin = end + 1;
    }
    return ignored;
  }

  void compare(const std::string& patterns) {
    const std::set<std::string> expected = ignored_by_git(patterns);
    cli::IgnoreRules rules = must(cli::IgnoreRules::parse(patterns));
    for (const auto& [path, is_folder] : paths)
      CHECK_MESSAGE(is_ignored(rules, path, is_folder) == expected.contains(path),
                    fmt::format("\"{}\" with the patterns\n{}", path, patterns));
  }
};

TEST_CASE("an ignore file has gitignore's syntax") {
  Tree tree;
  for (const char* patterns : {"*.rego\n",
                               "*.rego\n!b.rego\n",
                               "/a\n",
                               "a/\n",
                               "shop/\n!shop/b.rego\n",
                               "shop/*\n!shop/b.rego\n",
                               "**/a\n",
                               "a/**\n",
                               "shop/**\n",
                               "**/b.rego\n",
                               "x/**/a\n",
                               "x/**/shop/*.rego\n",
                               "foo**/b\n",
                               "foo**bar\n",
                               "\\#x\n#x\n",
                               "\\!y\n",
                               "a \n",
                               "a\\ \n",
                               "a b  \n",
                               "[ab]\n",
                               "[!a]\n",
                               "[^a]\n",
                               "a[]]b\n",
                               "a[[]b\n",
                               "a[\\]]b\n",
                               "a\\\\b\n",
                               "a\\\n",
                               "[a\n",
                               "a[[:digit:]]\n",
                               "[[:upper:]]\n",
                               "[[:nope:]]\n",
                               "a?b\n",
                               "*\n!*/\n!*.rego\n",
                               "a*b\n",
                               "\xEF\xBB\xBF"
                               "a\n",
                               "a\r\nb.rego\r\n",
                               "/\n",
                               "!\n",
                               "//\n",
                               "/**\n",
                               "**\n",
                               "***\n",
                               "*/a\n",
                               "shop/*/a\n",
                               "é.rego\n",
                               "a[A-Z]b\n",
                               "x/a\\*b\n",
                               "foo/bar/\n",
                               "**/shop/**/b.rego\n",
                               "[a-\n",
                               "[]-a]\n",
                               "[--a]\n"})
    tree.compare(patterns);
}

TEST_CASE("generated patterns ignore what they ignore for git") {
  Tree tree;
  std::mt19937 random(20260701);
  const std::vector<std::string> parts = {
      "a",     "b",           "*",   "**",  "/",   "/", "?", "[ab]", "[!a]", "\\",
      ".rego", "shop",        "x",   "foo", "bar", "[", "]", "-",    " ",    "!",
      "#",     "[[:alpha:]]", "[a-", "**/", "/**", "y", "z", "\\*",  "ba",   "A"};
  const auto pick = [&](size_t count) {
    return std::uniform_int_distribution<size_t>(0, count - 1)(random);
  };
  for (int round = 0; round < 150; ++round) {
    std::string patterns;
    for (size_t line = 0, lines = 1 + pick(4); line < lines; ++line) {
      if (pick(4) == 0) patterns += '!';
      if (pick(4) == 0) patterns += '/';
      for (size_t i = 0, length = 1 + pick(5); i < length; ++i)
        patterns += parts[pick(parts.size())];
      if (pick(4) == 0) patterns += '/';
      patterns += '\n';
    }
    tree.compare(patterns);
  }
}

TEST_CASE("an ignore file has limits, and no pattern takes long") {
  CHECK_FALSE(cli::IgnoreRules::parse(std::string(cli::kIgnoreBytesMax + 1, 'a')));
  CHECK_FALSE(cli::IgnoreRules::parse(std::string(cli::kIgnorePatternBytesMax + 1, 'a')));
  std::string many;
  for (size_t i = 0; i <= cli::kIgnorePatternsMax; ++i) many += "a\n";
  CHECK_FALSE(cli::IgnoreRules::parse(many));
  // A backtracking matcher would need more steps for this than time allows.
  std::string bomb;
  for (int i = 0; i < 60; ++i) bomb += "*a";
  cli::IgnoreRules rules = must(cli::IgnoreRules::parse(bomb + "b\n**/" + bomb + "/**/b\n"));
  CHECK(must(rules.line_ignoring(std::string(500, 'a'), false)) == 0);
  // A merely slow file fails with an error that says so.
  std::string slow;
  for (int i = 0; i < 60; ++i) slow += "*" + std::string(1000, '?') + "x\n";
  cli::IgnoreRules costly = must(cli::IgnoreRules::parse(slow));
  bool refused = false;
  for (int i = 0; i < 1000 && !refused; ++i)
    refused = !costly.line_ignoring(std::string(500, 'y'), false);
  CHECK(refused);
}

}  // namespace
}  // namespace notp
