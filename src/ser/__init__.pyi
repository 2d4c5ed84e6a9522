from ser.inference.prediction import Prediction as Prediction
from ser.inference.predictor import Predictor as Predictor

__version__: str
