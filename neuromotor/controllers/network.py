from neuromotor.controllers.rnn import ContinuousTimeRNN as LayeredNetwork
