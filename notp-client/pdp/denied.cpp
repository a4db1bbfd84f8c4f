#include "notp-client/pdp/denied.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "common/rego/engine.hpp"
#include "protocol/model/manifest.hpp"
#include "protocol/model/validate.hpp"

namespace notp {
namespace {

struct Policies {
  std::vector<Content> texts;
  std::vector<rego::SourceFile> sources;  // views of the texts
};

Result<void> add_policies(const LedgerId& ledger, const Tree& tree, const BlobLoader& load,
                          Policies& policies) {
  for (const std::string& path : rego_paths(tree, false)) {
    NOTP_ASSIGN(Content text, load(tree.find(path)->hash));
    policies.sources.push_back({fmt::format("{}/{}", ledger.text(), path), *text});
    policies.texts.push_back(std::move(text));
  }
  return {};
}

// "a/b" from any spelling that a request may use for it.
std::string canonical(std::string_view path) {
  std::string out;
  while (!path.empty()) {
    const std::string_view component = path.substr(0, path.find('/'));
    path.remove_prefix(std::min(path.size(), component.size() + 1));
    if (component.empty()) continue;
    if (!out.empty()) out.push_back('/');
    out.append(component);
  }
  return out;
}

}  // namespace

Result<std::map<std::string, Bytes>> stand_ins(const Composition& composition,
                                               const BlobLoader& load) {
  std::map<std::string, Bytes> files;
  if (composition.denied_roots().empty()) return files;
  Policies served;
  for (const auto& [ledger, release] : composition.ledgers)
    if (!release.standing.denies()) NOTP_TRY(add_policies(ledger, *release.tree, load, served));
  if (served.sources.empty()) return files;
  for (const auto& [ledger, release] : composition.ledgers) {
    if (!release.standing.denies()) continue;
    Policies missing;
    NOTP_TRY(add_policies(ledger, *release.tree, load, missing));
    NOTP_ASSIGN(std::vector<Bytes> modules,
                rego::undefined_functions(served.sources, missing.sources));
    for (size_t i = 0; i < modules.size(); ++i)
      files[fmt::format("{}/denied-{}.rego", ledger.text(), i + 1)] = std::move(modules[i]);
  }
  return files;
}

void DenialGuard::wanted(CompositionPtr composition) {
  const std::lock_guard guard(mutex_);
  wanted_ = std::move(composition);
  look_again();
}

void DenialGuard::decides_with(CompositionPtr composition) {
  const std::lock_guard guard(mutex_);
  active_ = std::move(composition);
  look_again();
}

void DenialGuard::look_again() {
  roots_.clear();
  // A PDP that has said nothing yet may still decide with what an earlier process gave it.
  if (wanted_ && (!active_ || gives_denied(*active_, *wanted_))) roots_ = wanted_->denied_roots();
}

bool DenialGuard::withholds(std::string_view path) const {
  const std::lock_guard guard(mutex_);
  if (roots_.empty()) return false;
  const std::string asked = canonical(path);
  return asked.empty() || !roots_overlap(roots_, {asked}).empty();
}

}  // namespace notp
