#include "protocol/trust/roots_check.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "protocol/model/data.hpp"
#include "protocol/model/manifest.hpp"
#include "protocol/model/package.hpp"
#include "protocol/model/roots.hpp"
#include "protocol/model/test_code.hpp"
#include "protocol/model/validate.hpp"

namespace notp::trust {
namespace {

class RootsCheck {
 public:
  RootsCheck(const Release& release, const model::Tree& tree, const model::BlobLoader& load,
             const ConfinedContent& before)
      : release_(release), tree_(tree), load_(load), roots_(release.data_roots) {
    if (before.tree == nullptr || before.data_roots == nullptr) return;
    const bool owns_all = std::ranges::all_of(*before.data_roots, [&](const std::string& root) {
      return model::roots_contain(release.data_roots, root);
    });
    if (owns_all) before_ = before;
  }

  Result<void> run() const {
    NOTP_TRY(check_owned());
    for (const std::string& path : model::rego_paths(tree_, /*with_tests=*/false))
      if (!was_checked(path)) NOTP_TRY(check_module(path));
    for (const auto& [path, entry] : tree_.files())
      if (model::is_data_file(path) && !model::is_test_data(path, release_.data_roots) &&
          !was_checked(path))
        NOTP_TRY(check_document(path, entry));
    return {};
  }

 private:
  std::unexpected<Error> refuse(std::string what) const {
    return fail(
        ErrorCode::kWrongTarget,
        fmt::format("{} v{} owns {}: {}", release_.ledger.text(), release_.version,
                    release_.data_roots.empty()
                        ? "no data root"
                        : printable(fmt::format("{}", fmt::join(release_.data_roots, ", "))),
                    std::move(what)));
  }

  // As in a manifest.
  Result<void> check_owned() const {
    for (const std::string& root : release_.data_roots)
      if (root.empty() || (model::roots_contain({"system"}, root) && root != model::kLogRulesRoot))
        return refuse("data.system is the agent's");
    return {};
  }

  // Data of tests may have become data.
  bool was_checked(const std::string& path) const {
    if (before_.tree == nullptr || model::is_test_data(path, *before_.data_roots)) return false;
    const model::FileEntry* const earlier = before_.tree->find(path);
    return earlier != nullptr && earlier->hash == tree_.find(path)->hash;
  }

  Result<void> check_module(const std::string& path) const {
    NOTP_ASSIGN(const model::Content text, load_(tree_.find(path)->hash));
    const auto package = model::package_of(*text);
    if (!package)
      return refuse(
          fmt::format("{} does not begin with a package that can be read without an "
                      "engine; write it as 'package a.b[\"c\"]'",
                      printable(path)));
    if (!roots_.contain(*package))
      return refuse(fmt::format("{} has the package {}, which is outside", printable(path),
                                model::data_path_text(*package)));
    return {};
  }

  Result<void> check_document(const std::string& path, const model::FileEntry& entry) const {
    const model::DataPath at = model::data_path_of(path);
    if (roots_.contain(at)) return {};
    if (!roots_.lie_below(at)) return refuse(fmt::format("{} is outside", printable(path)));
    NOTP_ASSIGN(const model::Content text, load_(entry.hash));
    if (path.ends_with(".json")) {
      const auto outside = roots_.outside_of_json(at, *text);
      if (!outside)
        return refuse(
            fmt::format("{} cannot be read: {}", printable(path), outside.error().message));
      if (*outside) return refuse_place(path, **outside);
      return {};
    }
    const auto document = model::parse_data_file(path, *text);
    if (!document)
      return refuse(
          fmt::format("{} cannot be read: {}", printable(path), document.error().message));
    if (const auto outside = roots_.outside(at, *document)) return refuse_place(path, *outside);
    return {};
  }

  std::unexpected<Error> refuse_place(const std::string& path, const model::DataPath& place) const {
    return refuse(fmt::format("{} has data.{}, which is outside", printable(path),
                              model::data_path_text(place)));
  }

  const Release& release_;
  const model::Tree& tree_;
  const model::BlobLoader& load_;
  const model::DataRoots roots_;
  ConfinedContent before_;  // null: everything is checked
};

}  // namespace

Result<void> check_roots(const Release& release, const model::Tree& tree,
                         const model::BlobLoader& load, const ConfinedContent& before) {
  return RootsCheck(release, tree, load, before).run();
}

}  // namespace notp::trust
