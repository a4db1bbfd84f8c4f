#include "notp-server/service/validated_documents.hpp"

#include <algorithm>

namespace notp {

std::list<ValidatedDocuments::Kept>::iterator ValidatedDocuments::place_of(std::string_view path,
                                                                           const Hash& content) {
  return std::ranges::find_if(
      kept_, [&](const Kept& kept) { return kept.content == content && kept.path == path; });
}

std::shared_ptr<const rego::Document> ValidatedDocuments::find(std::string_view path,
                                                               const Hash& content) {
  const std::scoped_lock lock(mutex_);
  const auto place = place_of(path, content);
  if (place == kept_.end()) return nullptr;
  kept_.splice(kept_.begin(), kept_, place);
  return kept_.front().document;
}

void ValidatedDocuments::keep(std::string_view path, const Hash& content, uint64_t bytes,
                              std::shared_ptr<const rego::Document> document) {
  std::list<Kept> left;  // to free a document takes time: when the lock is gone
  const std::scoped_lock lock(mutex_);
  if (bytes > budget_bytes_ || place_of(path, content) != kept_.end()) return;
  kept_.push_front({std::string(path), content, bytes, std::move(document)});
  bytes_ += bytes;
  while (bytes_ > budget_bytes_) {
    bytes_ -= kept_.back().bytes;
    left.splice(left.begin(), kept_, std::prev(kept_.end()));
  }
}

}  // namespace notp
