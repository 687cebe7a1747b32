//! Data sets for training: idx files, class labels, stratified splits.
