#include "tools/notp/publish/link_resolver.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

namespace notp::cli {
namespace {

using Kind = ModelSource::Kind;

// Segments in reverse order: the next one is at the back.
void push_segments(std::vector<std::string>& todo, std::string_view path) {
  const size_t at = todo.size();
  while (!path.empty()) {
    const size_t slash = path.find('/');
    todo.emplace_back(path.substr(0, slash));
    path.remove_prefix(slash == std::string_view::npos ? path.size() : slash + 1);
  }
  std::reverse(todo.begin() + static_cast<ptrdiff_t>(at), todo.end());
}

std::string joined(const std::vector<std::string>& segments) {
  return fmt::format("{}", fmt::join(segments, "/"));
}

LinkResolver::Target fault(std::string why) { return {Kind::kOther, {}, std::move(why)}; }

}  // namespace

Result<const std::vector<ModelSource::Entry>*> LinkResolver::list(const std::string& folder) {
  if (const auto known = folders_.find(folder); known != folders_.end()) return &known->second;
  NOTP_ASSIGN(std::vector<ModelSource::Entry> entries, source_.list(folder));
  std::ranges::sort(entries, {}, &ModelSource::Entry::name);
  return &folders_.emplace(folder, std::move(entries)).first->second;
}

Result<LinkResolver::Target> LinkResolver::resolve(const std::string& path) {
  std::vector<std::string> done, todo;
  push_segments(todo, path);
  size_t hops = 0;
  while (!todo.empty()) {
    const std::string name = std::move(todo.back());
    todo.pop_back();
    if (name.empty() || name == ".") continue;
    if (name == "..") {
      if (done.empty()) return fault("leads out of the folder");
      done.pop_back();
      continue;
    }
    NOTP_ASSIGN(const std::vector<ModelSource::Entry>* entries, list(joined(done)));
    const auto found = std::ranges::lower_bound(*entries, name, {}, &ModelSource::Entry::name);
    if (found == entries->end() || found->name != name) return fault(std::string(kLeadsNowhere));
    if (done.empty() && (name == ".git" || name == ".notp"))
      return fault(fmt::format("leads into {}", name));
    done.push_back(name);
    if (found->kind == Kind::kLink) {
      if (++hops > kLinkHopsMax) return fault("leads back to itself");
      NOTP_ASSIGN(const std::string target, source_.link_target(joined(done)));
      done.pop_back();
      if (target.size() > kLinkBytesMax) return fault("is longer than a path can be");
      // The target of an absolute path differs between machines.
      if (target.starts_with('/')) return fault("has an absolute path, out of the folder");
      push_segments(todo, target);
    } else if (found->kind != Kind::kFolder) {
      if (!todo.empty()) return fault(std::string(kLeadsNowhere));
      return Target{found->kind, joined(done), {}};
    }
  }
  return Target{Kind::kFolder, joined(done), {}};
}

}  // namespace notp::cli
