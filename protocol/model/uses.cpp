#include "protocol/model/uses.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "common/limits.hpp"
#include "protocol/model/data.hpp"
#include "protocol/model/manifest.hpp"
#include "protocol/model/test_code.hpp"
#include "protocol/model/validate.hpp"

namespace notp::model {
namespace {

class Resolver {
 public:
  Resolver(const LedgerId& own, const std::vector<std::string>& roots, const FindUsed& find)
      : own_(own), roots_(roots), find_(find) {}

  ResolvedUses run(const std::vector<LedgerUse>& uses) && {
    for (const LedgerUse& use : uses) add(own_, use, 1);
    // The list grows at its end: each ledger is reached at its minimum depth.
    for (size_t i = 0; i < out_.models.size(); ++i) {
      const UsedModel model = out_.models[i];
      for (const LedgerUse& use : model.uses) add(model.ledger, use, levels_[i] + 1);
    }
    check_roots();
    return std::move(out_);
  }

 private:
  void add(const LedgerId& user, const LedgerUse& use, size_t depth) {
    if (stopped_) return;
    if (use.ledger == own_)
      return problem(fmt::format("{} uses {} itself: ledgers must not use each other in a circle",
                                 user.text(), own_.text()));
    const auto known = std::ranges::find(out_.models, use.ledger, &UsedModel::ledger);
    if (known != out_.models.end()) return check_version(user, use, known->version);
    if (depth > limits::kUsesDepthMax)
      return stop(fmt::format("{} is used through more than {} ledgers", use.ledger.text(),
                              limits::kUsesDepthMax));
    if (out_.models.size() == limits::kUsedModelsMax)
      return stop(fmt::format("more than {} ledgers are used, directly or through each other",
                              limits::kUsedModelsMax));
    auto found = find_(use.ledger);
    if (!found)
      return problem(
          fmt::format("{} uses {}: {}", user_text(user), use.ledger.text(), found.error().message));
    check_version(user, use, found->version);
    out_.models.push_back(*std::move(found));
    levels_.push_back(depth);
  }

  void check_version(const LedgerId& user, const LedgerUse& use, uint64_t version) {
    if (version < use.version)
      problem(fmt::format("{} uses {} from v{} on, which is at v{}", user_text(user),
                          use.ledger.text(), use.version, version));
  }

  void check_roots() {
    for (size_t i = 0; i < out_.models.size(); ++i) {
      const UsedModel& model = out_.models[i];
      if (const std::string pair = roots_overlap(roots_, model.data_roots); !pair.empty())
        problem(
            fmt::format("its data roots overlap with those of {}, which it uses ({}): one node "
                        "cannot have both",
                        model.ledger.text(), pair));
      for (size_t k = 0; k < i; ++k)
        if (const std::string pair = roots_overlap(out_.models[k].data_roots, model.data_roots);
            !pair.empty())
          problem(fmt::format("data roots of {} and {} overlap ({}), and it uses both",
                              out_.models[k].ledger.text(), model.ledger.text(), pair));
    }
  }

  std::string user_text(const LedgerId& user) const { return user == own_ ? "it" : user.text(); }
  void problem(std::string text) { out_.problems.push_back(std::move(text)); }
  void stop(std::string text) {
    stopped_ = true;
    problem(std::move(text));
  }

  const LedgerId& own_;
  const std::vector<std::string>& roots_;
  const FindUsed& find_;
  ResolvedUses out_;
  std::vector<size_t> levels_;  // of out_.models
  bool stopped_ = false;
};

}  // namespace

ResolvedUses resolve_uses(const LedgerId& own, const std::vector<std::string>& roots,
                          const std::vector<LedgerUse>& uses, const FindUsed& find) {
  return Resolver(own, roots, find).run(uses);
}

Result<void> add_used(const UsedModel& used, rego::CheckRequest& request) {
  const FileEntry* const entry = used.tree->find(kManifestPath);
  if (entry == nullptr)
    return fail(ErrorCode::kInvalidModel,
                fmt::format("{} has no manifest.json", used.ledger.text()));
  NOTP_ASSIGN(const Content text, used.load(entry->hash));
  NOTP_ASSIGN(const Manifest manifest, Manifest::parse(*text));
  for (const std::string& path : rego_paths(*used.tree, false)) {
    const FileEntry& file = *used.tree->find(path);
    request.modules.push_back({.path = used_path(used.ledger, path),
                               .hash = file.hash,
                               .bytes = file.bytes,
                               .rego_version = manifest.rego_version_of(path),
                               .is_used = true});
  }
  for (const auto& [path, file] : used.tree->files())
    if (is_data_file(path) && !is_test_data(path, manifest.data_roots))
      request.documents.push_back({used_path(used.ledger, path), data_path_of(path), file.hash,
                                   file.bytes, rego::document_format_of(path)});
  request.load = [own = std::move(request.load), other = used.load](const Hash& hash) {
    auto content = own ? own(hash) : fail(ErrorCode::kNotFound, "no content");
    const bool is_missing = !content && content.error().code == ErrorCode::kNotFound;
    return is_missing ? other(hash) : content;
  };
  return {};
}

std::string used_path(const LedgerId& ledger, std::string_view path) {
  return fmt::format("{}:{}", ledger.text(), path);
}

bool is_used_path(std::string_view path) { return path.contains(':'); }

}  // namespace notp::model
