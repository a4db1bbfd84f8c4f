// Makes the next root of a stack as its key holders do: drafted once, reviewed, signed by one after
// the other with their own keys, and published.
#pragma once

#include <doctest/doctest.h>
#include <fmt/format.h>

#include "tests/support/process/stack.hpp"

namespace notp {

class RootSigning {
 public:
  using Words = std::vector<std::string>;

  // `publisher` may publish roots ("trust").
  RootSigning(Stack& stack, std::string publisher)
      : stack_(stack), publisher_(std::move(publisher)), newest_(stack.root_file()) {}

  const std::filesystem::path& newest() const { return newest_; }
  int64_t version() const { return version_; }

  // Each edit: a subcommand of `notp root` and the arguments after the file. Returns the unsigned
  // draft.
  std::filesystem::path draft(const std::vector<Words>& edits, const std::string& name = {}) {
    const std::filesystem::path next =
        stack_.file(name.empty() ? fmt::format("root-{}.envelope", version_ + 1) : name);
    bool first = true;
    for (const Words& edit : edits) {
      Words words{"root", edit.front(), first ? newest_ : next};
      words.insert(words.end(), edit.begin() + 1, edit.end());
      if (first) words.insert(words.end(), {"--out", next});
      run(std::move(words));
      first = false;
    }
    return next;
  }
  // Runs `notp root show`; its exit code says whether signatures are missing.
  int show(const std::filesystem::path& draft) {
    return stack_.notp({}, {"root", "show", draft, "--previous", newest_}).status;
  }
  // Signs as one holder.
  void sign(const std::filesystem::path& draft, const std::string& key) {
    run({"root", "sign", draft, "--key", stack_.file(key + ".key"), "--previous", newest_,
         "--yes"});
  }
  // Runs all steps. `keys`: names of key files; the last one completes the signatures.
  void change(const std::vector<Words>& edits, const std::vector<std::string>& keys) {
    const std::filesystem::path next = draft(edits);
    for (const std::string& key : keys) {
      CHECK(show(next) == kSignaturesMissing);
      sign(next, key);
    }
    CHECK(show(next) == 0);
    const CliResult published = stack_.notp(publisher_, {"root", "publish", next});
    REQUIRE_MESSAGE(published.status == 0, published.error);
    CHECK(number_at(published.document, "version") == version_ + 1);
    CHECK(number_at(published.document, "previous_version") == version_);
    newest_ = next;
    ++version_;
  }

 private:
  static constexpr int kSignaturesMissing = 9;

  void run(Words words) {
    const CliResult result = stack_.notp({}, std::move(words));
    REQUIRE_MESSAGE(result.status == 0, result.error);
  }

  Stack& stack_;
  const std::string publisher_;
  std::filesystem::path newest_;
  int64_t version_ = 1;
};

}  // namespace notp
