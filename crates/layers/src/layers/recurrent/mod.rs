//! Layers that go over the steps of a sequence with a state.

mod bidirectional;
mod conv_lstm;
mod declaration;
mod dropped;
mod gru;
mod lstm;
mod op;
mod rnn;
mod simple_rnn;
mod stacked_rnn_cells;
mod walk;

pub use bidirectional::{Bidirectional, MergeMode};
pub use conv_lstm::{ConvLSTM, ConvLSTM1D, ConvLSTM2D, ConvLSTM3D};
pub use gru::{GRU, GRUCell};
pub use lstm::{LSTM, LSTMCell};
pub use rnn::RNN;
pub use simple_rnn::{SimpleRNN, SimpleRNNCell};
pub use stacked_rnn_cells::StackedRNNCells;
