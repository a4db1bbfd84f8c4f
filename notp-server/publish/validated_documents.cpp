#include "notp-server/publish/validated_documents.hpp"

namespace notp::publish {

bool ValidatedDocuments::knows(std::string_view path, const Hash& content) {
  const MutexLock lock(mutex_);
  const auto place = places_.find({std::string(path), content});
  if (place == places_.end()) return false;
  order_.splice(order_.begin(), order_, place->second);
  return true;
}

void ValidatedDocuments::keep(std::string_view path, const Hash& content) {
  const MutexLock lock(mutex_);
  Key key{std::string(path), content};
  if (places_.contains(key)) return;
  order_.push_front(key);
  places_.emplace(std::move(key), order_.begin());
  if (places_.size() <= entries_max_) return;
  places_.erase(order_.back());
  order_.pop_back();
}

}  // namespace notp::publish
